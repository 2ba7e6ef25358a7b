#include "apps/model/inspect_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr std::string_view kSizes[] = {"adapters",        "bytes",   "cache_at_context",
                                       "cache_per_token", "free",    "scratch",
                                       "total",           "weights", "workspace"};

std::string value_text(const std::string& key, const Json& value) {
  const bool size = std::ranges::find(kSizes, key) != std::end(kSizes);
  if (size && value.is_number_unsigned()) return format_bytes(value.get<uint64_t>());
  return value.is_string() ? printable(value.get<std::string>(), 1000) : value.dump();
}

// One fact a line, inner objects indented.
std::string lines(const Json& json, const std::string& indent) {
  std::string text;
  for (const auto& [key, value] : json.items()) {
    const std::string name = json.is_array() ? "-" : key + ":";
    const bool nested =
        value.is_structured() && !value.empty() && !(value.is_array() && value[0].is_primitive());
    text += nested ? fmt::format("{}{}\n{}", indent, name, lines(value, indent + "  "))
                   : fmt::format("{}{} {}\n", indent, name, value_text(key, value));
  }
  return text;
}

std::string fit_text(const Json& memory) {
  if (!memory.contains("fits")) return "";
  return fmt::format("needs {} of {} free on {}: {}\n", value_text("total", memory["total"]),
                     value_text("free", memory["free"]),
                     printable(memory["device"].get<std::string>()),
                     memory["fits"].get<bool>() ? "fits" : "does not fit");
}

std::string soundness_text(const Json& verify) {
  if (!verify["non_finite"].empty()) return "";  // an error follows
  return fmt::format("sound: {} tensors read, no NaN or infinity\n",
                     verify["tensors"].get<uint64_t>());
}

}  // namespace

std::string inspect_text(const Json& answer) {
  std::string text = lines(answer, "") + fit_text(answer["memory"]);
  if (answer.contains("verify")) text += soundness_text(answer["verify"]);
  return text;
}

}  // namespace ropewalk
