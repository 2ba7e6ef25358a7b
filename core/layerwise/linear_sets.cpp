#include "core/layerwise/linear_sets.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/module_pattern.h"

namespace ropewalk {
namespace {

constexpr std::string_view kLayers = "model.layers.", kWeight = ".weight";

[[noreturn]] void refuse(const Linear& linear, const std::string& what, std::string_view advice) {
  throw Error(ExitCode::usage, linear.name, what, advice);
}

[[noreturn]] void refuse_skip(const std::string& text, const std::string& what) {
  throw Error(ExitCode::usage, "--skip " + text, what,
              "Give the end of a layer's name, such as layers.0.mlp.down_proj, with .* for any run "
              "of characters");
}

struct Skipped {
  std::string text;
  ModulePattern pattern;
  bool found = false;
};

std::vector<Skipped> parse(std::span<const std::string> texts) {
  std::vector<Skipped> patterns;
  for (const std::string& text : texts) {
    auto pattern = ModulePattern::parse(text);
    if (!pattern) refuse_skip(text, "is no pattern of letters, digits, _, - and .*");
    patterns.push_back({text, std::move(*pattern)});
  }
  return patterns;
}

bool is_skipped(const std::string& name, std::vector<Skipped>& patterns) {
  bool found = false;
  for (Skipped& pattern : patterns) {
    if (!pattern.pattern.matches(name)) continue;
    found = pattern.found = true;
  }
  return found;
}

}  // namespace

std::vector<LinearSet> linear_sets(const ModelGraph& model, std::span<const std::string> skip) {
  const Graph& graph = model.graph;
  std::vector<Skipped> skipped = parse(skip);
  std::vector<LinearSet> sets;
  TensorId last = static_cast<TensorId>(graph.tensors.size());
  for (const GraphNode& node : graph.nodes) {
    if (node.op != abi::Op::matmul) continue;
    const GraphTensor& weight = graph.tensors[node.in[1]];
    if (!weight.name.starts_with(kLayers) || !weight.name.ends_with(kWeight)) continue;
    const std::string layer = weight.name.substr(0, weight.name.size() - kWeight.size());
    const StoredIn& stored =
        std::ranges::find(model.weights, node.in[1], &WeightLoad::tensor)->info.stored;
    const std::string& name = stored.name.empty() ? layer : stored.name;
    if (is_skipped(name, skipped)) continue;
    if (sets.empty() || node.in[0] != last)
      sets.push_back({{}, graph.tensors[node.in[0]].name, weight.dims[0]});
    last = node.in[0];
    std::vector<Linear>& linears = sets.back().linears;
    if (linears.empty() || linears.back().name != name)
      linears.push_back({name, stored.name.empty() ? weight.dims[1] : stored.cols});
    linears.back().layers.push_back(layer);
  }
  for (const Skipped& pattern : skipped)
    if (!pattern.found) refuse_skip(pattern.text, "means no layer of this model");
  if (sets.empty()) refuse_skip(skip.front(), "leaves no layer to quantise");
  return sets;
}

std::string layer_of(const LinearSet& set) {
  const std::string& name = set.linears.front().name;
  return name.substr(0, name.find('.', kLayers.size()) + 1);
}

size_t node_of(const LinearSet& set, const Graph& graph) {
  const std::string& name = set.linears.front().layers.front();
  const auto found = std::ranges::find_if(graph.nodes, [&](const GraphNode& node) {
    return node.name == name || node.name == name + ".permute";
  });
  return static_cast<size_t>(found - graph.nodes.begin());
}

void check_shapes(const std::vector<LinearSet>& sets, const quantize::Settings& settings) {
  const uint32_t bits = settings.bits, group = settings.group_size;
  for (const LinearSet& set : sets)
    for (const Linear& linear : set.linears) {
      // Codes of 3 bits run over word borders: 32 of them fill 3 words.
      const uint32_t step = bits == 3 ? 32 : 32 / bits;
      if (set.cols % step != 0 || linear.rows % step != 0)
        refuse(linear,
               fmt::format("has {} outputs and {} inputs, expected multiples of {} for {} bits",
                           linear.rows, set.cols, step, bits),
               "Take another --bits");
      if (group != 0 && set.cols % group != 0 && !settings.short_groups)
        refuse(linear,
               fmt::format("has {} inputs, which groups of {} do not divide", set.cols, group),
               "Take another --group-size, or --allow-short-group, whose files vLLM refuses");
    }
}

double flop_of(const LinearSet& set, uint64_t tokens) {
  const double k = set.cols, t = static_cast<double>(tokens);
  double outputs = 0;
  for (const Linear& linear : set.linears) outputs += linear.rows;
  return 2 * outputs * k * t + t * k * k + 2.0 / 3 * k * k * k + 4 * outputs * k * k;
}

}  // namespace ropewalk
