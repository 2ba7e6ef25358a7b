#include "core/checkpoint/names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace ropewalk {
namespace {

constexpr std::string_view kTable = "embed_tokens.weight";
constexpr std::string_view kWrappedTable = "embed_tokens.base_layer.weight";
constexpr std::string_view kModel = "model.";
constexpr std::string_view kBaseLayer = ".base_layer.";
constexpr std::string_view kLanguageModel = "language_model.";  // of a model that reads pictures

// The part of `name` in front of the table's; the name itself where it is another tensor.
std::string_view before_table(std::string_view name) {
  for (const std::string_view table : {kTable, kWrappedTable}) {
    if (!name.ends_with(table)) continue;
    const std::string_view before = name.substr(0, name.size() - table.size());
    if (before.empty() || before.ends_with('.')) return before;
  }
  return name;
}

struct Wrapping {
  std::string inner = std::string(kModel);  // in front of the layers: "base_model.model.model."
  std::string outer;                        // in front of the output layer: "base_model.model."
};

Wrapping wrapping_of(std::span<const TensorInfo> tensors) {
  const auto table = std::find_if(tensors.begin(), tensors.end(), [](const TensorInfo& tensor) {
    return before_table(tensor.name) != std::string_view(tensor.name);
  });
  if (table == tensors.end()) return {};
  Wrapping found{std::string(before_table(table->name)), ""};
  found.outer = found.inner;
  if (found.inner == kModel || found.inner.ends_with(".model."))
    found.outer.resize(found.inner.size() - kModel.size());
  return found;
}

std::string settled(std::string_view name, const Wrapping& wrapping) {
  std::string own(name);
  if (name.starts_with("lm_head.")) {
    // Beside a bare model too it has no prefix.
  } else if (name.starts_with(wrapping.inner) && wrapping.inner != wrapping.outer) {
    own = std::string(kModel) + std::string(name.substr(wrapping.inner.size()));
  } else if (name.starts_with(wrapping.outer)) {
    own = name.substr(wrapping.outer.size());
    if (wrapping.inner == wrapping.outer && !own.starts_with("lm_head."))
      own = std::string(kModel) + own;
  }
  for (size_t at = 0; (at = own.find(kBaseLayer, at)) != std::string::npos;)
    own.replace(at, kBaseLayer.size(), ".");
  return own;
}

std::string whose(std::string_view prefix) {
  if (prefix.starts_with("base_model.")) return fmt::format("\"{}\", as PEFT saves models", prefix);
  if (prefix == "module.") return "\"module.\", as DataParallel saves models";
  return fmt::format("\"{}\"", prefix);
}

}  // namespace

std::string settle_names(std::span<TensorInfo> tensors) {
  const Wrapping wrapping = wrapping_of(tensors);
  bool layers = false;
  for (TensorInfo& tensor : tensors) {
    layers = layers || tensor.name.find(kBaseLayer) != std::string::npos;
    tensor.name = settled(tensor.name, wrapping);
  }
  std::vector<std::string> found;
  if (!wrapping.outer.empty())
    found.push_back(fmt::format("the tensors' names begin with {}", whose(wrapping.outer)));
  if (wrapping.inner == wrapping.outer && !wrapping.inner.ends_with(kLanguageModel))
    found.emplace_back("the tensors' names lack \"model.\", as those of a bare model do");
  if (layers) found.emplace_back("layers have PEFT's \".base_layer\" in their names");
  return fmt::format("{}", fmt::join(found, "; "));
}

std::string similar_name(std::span<const TensorInfo> tensors, std::string_view name) {
  const std::string_view own = name.substr(0, name.rfind('.') + 1);  // the layer's
  std::string layer(own);
  if (layer.starts_with(kModel)) layer.erase(0, kModel.size());
  const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const TensorInfo& tensor) {
    return !tensor.name.starts_with(own) && tensor.name.find("." + layer) != std::string::npos;
  });
  return found == tensors.end() ? "" : found->name;
}

}  // namespace ropewalk
