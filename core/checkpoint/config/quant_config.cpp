#include "core/checkpoint/config/quant_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/checkpoint/foreign.h"
#include "core/checkpoint/formats/files.h"
#include "core/checkpoint/refuse.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr uint64_t kMaxConfigBytes = 1 << 20;
constexpr std::string_view kPart = "quantization_config";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// Keys in lower case with AutoGPTQ's synonyms resolved (AutoGPTQ quantization/config.py,
// QUANT_CONFIG_ARG_SYNONYMS).
Json normalised(const JsonFields& fields) {
  Json out = Json::object();
  for (const auto& [key, value] : fields.json().items()) {
    std::string name = lower(key);
    if (name == "w_bit") name = "bits";
    if (name == "q_group_size") name = "group_size";
    if (out.contains(name)) fields.fail(key, "is given twice under two spellings", "");
    out[name] = value;
  }
  return out;
}

int32_t group_size(const JsonFields& fields) {
  const Json* value = fields.json().contains("group_size") ? &fields.json()["group_size"] : nullptr;
  if (value && value->is_number() && value->get<double>() == -1) return -1;
  const uint64_t size = fields.unsigned_integer("group_size", 1, 1 << 20);
  // Every quantiser makes groups of whole words of codes.
  if (size % 8 != 0)
    fields.fail("group_size", fmt::format("found {}, expected -1 or a multiple of 8", size), "");
  return static_cast<int32_t>(size);
}

uint8_t bits(const JsonFields& fields) {
  const uint64_t bits = fields.unsigned_integer("bits", 1, 32);
  if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
    fields.fail("bits", fmt::format("found {}, expected 2, 3, 4 or 8", bits),
                "Take a checkpoint of one of these widths");
  return static_cast<uint8_t>(bits);
}

bool v2_zero_points(const JsonFields& fields) {
  if (!fields.has("checkpoint_format")) return false;
  const std::string format = lower(fields.text("checkpoint_format"));
  if (format == "gptq") return false;
  if (format == "gptq_v2") return true;
  fields.fail("checkpoint_format",
              fmt::format("found \"{}\", expected \"gptq\" or \"gptq_v2\"", printable(format)), "");
}

QuantConfig read_fields(const JsonFields& fields, const JsonSource& source) {
  refuse_foreign_method(fields);
  QuantConfig config;
  config.file = source.file;
  config.bits = bits(fields);
  config.group_size = group_size(fields);
  if (fields.has("desc_act")) config.act_order = fields.boolean("desc_act");
  if (fields.has("sym")) {
    config.symmetric = fields.boolean("sym");
  } else {
    warn(fmt::format("{}: sym is missing, taken as true", source.file));
  }
  config.zero_points_v2 = v2_zero_points(fields);
  if (fields.has("model_file_base_name"))
    config.model_file_base_name = fields.text("model_file_base_name");
  return config;
}

std::optional<QuantConfig> read_place(const ModelDirectory& directory, std::string_view name,
                                      std::string_view part) {
  if (!directory.contains(name)) return std::nullopt;
  const JsonSource source{directory.path_of(name), ExitCode::model};
  const Json json = parse_json(directory.read_text(name, kMaxConfigBytes), source);
  const JsonFields whole(json, source, "");
  if (!part.empty() && !whole.has(part)) return std::nullopt;
  const Json fields = normalised(part.empty() ? whole : whole.child(part));
  return read_fields(JsonFields(fields, source, std::string(part)), source);
}

void check_same(const QuantConfig& a, const QuantConfig& b) {
  const auto check = [&](std::string_view field, auto left, auto right) {
    if (left != right)
      refuse(fmt::format("{}: {}", a.file, field),
             fmt::format("found {}, but {} says {} in {}", left, b.file, right, kPart),
             "Correct the one that is wrong, or delete it");
  };
  check("bits", a.bits, b.bits);
  check("group_size", a.group_size, b.group_size);
  check("desc_act", a.act_order, b.act_order);
  check("sym", a.symmetric, b.symmetric);
  check("checkpoint_format", a.zero_points_v2 ? "gptq_v2" : "gptq",
        std::string_view(b.zero_points_v2 ? "gptq_v2" : "gptq"));
}

}  // namespace

std::optional<QuantConfig> read_quant_config(const std::filesystem::path& path) {
  const ModelDirectory directory(path);
  // AutoGPTQ's order.
  std::optional<QuantConfig> own = read_place(directory, "quantize_config.json", "");
  if (!own) own = read_place(directory, "quant_config.json", "");
  const std::optional<QuantConfig> inner = read_place(directory, "config.json", kPart);
  if (own && inner) check_same(*own, *inner);
  return own ? own : inner;
}

}  // namespace ropewalk
