#include "core/checkpoint/config/quant_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/checkpoint/foreign.h"
#include "core/checkpoint/formats/files.h"
#include "core/checkpoint/refuse.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr uint64_t kMaxQuantConfigBytes = 1 << 20;
constexpr std::string_view kPart = "quantization_config";

std::string lower_key(std::string_view text) {
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
    std::string name = lower_key(key);
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
  const Json& value = fields.json()["bits"];
  for (const int width : {2, 3, 4, 8})
    if (value.is_number() && value.get<double>() == width) return static_cast<uint8_t>(width);
  fields.fail("bits", fmt::format("found {}, expected 2, 3, 4 or 8", printable(value.dump(), 40)),
              "Take a checkpoint of one of these widths");
}

std::optional<std::string> zero_format(const JsonFields& fields) {
  if (!fields.has("checkpoint_format")) return std::nullopt;
  std::string format = lower_key(fields.text("checkpoint_format"));
  if (format == "gptq" || format == "gptq_v2") return format;
  fields.fail("checkpoint_format",
              fmt::format("found \"{}\", expected \"gptq\" or \"gptq_v2\"", printable(format)), "");
}

// Whether meta.quantizer, a text or a list of them, names GPTQModel 0.9 or later, as
// "gptqmodel:2.2.0" does.
bool by_gptqmodel(const Json& fields) {
  if (!fields.contains("meta") || !fields["meta"].is_object()) return false;
  const Json& meta = fields["meta"];
  if (!meta.contains("quantizer")) return false;
  const Json list =
      meta["quantizer"].is_array() ? meta["quantizer"] : Json::array({meta["quantizer"]});
  return std::any_of(list.begin(), list.end(), [](const Json& item) {
    constexpr std::string_view kName = "gptqmodel";
    const std::string text = item.is_string() ? lower_key(item.get<std::string>()) : std::string();
    if (!text.starts_with(kName)) return false;
    const size_t digits = text.find_first_of("0123456789");
    if (digits == std::string::npos) return true;  // its first release was 0.9
    uint32_t major = 0, minor = 9;
    const char* const end = text.data() + text.size();
    const auto [dot, error] = std::from_chars(text.data() + digits, end, major);
    if (error == std::errc{} && dot != end && *dot == '.') std::from_chars(dot + 1, end, minor);
    return major > 0 || minor >= 9;
  });
}

// What one place says; nullopt: it leaves that out.
struct Claims {
  std::string file;
  std::optional<uint8_t> bits;
  std::optional<int32_t> group_size;
  std::optional<bool> desc_act, sym;
  std::optional<std::string> checkpoint_format, base_name;
  bool by_gptqmodel = false, dynamic = false;
};

Claims read_claims(const JsonFields& fields, const JsonSource& source) {
  refuse_foreign_method(fields);
  Claims claims;
  claims.file = source.file;
  if (fields.has("bits")) claims.bits = bits(fields);
  if (fields.has("group_size")) claims.group_size = group_size(fields);
  if (fields.has("desc_act")) claims.desc_act = fields.boolean("desc_act");
  if (fields.has("sym")) claims.sym = fields.boolean("sym");
  claims.checkpoint_format = zero_format(fields);
  if (fields.has("model_file_base_name")) claims.base_name = fields.text("model_file_base_name");
  claims.by_gptqmodel = by_gptqmodel(fields.json());
  claims.dynamic = fields.has("dynamic") && !fields.json()["dynamic"].empty();
  return claims;
}

std::optional<Claims> read_place(const ModelDirectory& directory, std::string_view name,
                                 std::string_view part) {
  if (!directory.contains(name)) return std::nullopt;
  const JsonSource source{directory.path_of(name), ExitCode::model};
  const Json json = parse_json(directory.read_text(name, kMaxQuantConfigBytes), source);
  const JsonFields whole(json, source, "");
  if (!part.empty()) refuse_mlx(whole);
  if (!part.empty() && !whole.has(part)) return std::nullopt;
  const Json fields = normalised(part.empty() ? whole : whole.child(part));
  return read_claims(JsonFields(fields, source, std::string(part)), source);
}

// Two places in one: the first wins where they differ, and `differences` says where.
class Merge {
 public:
  Merge(const Claims& a, const Claims& b) : a_(a), b_(b) {}

  template <class T>
  std::optional<T> take(std::string_view field, std::optional<T> Claims::*said) {
    const std::optional<T>&a = a_.*said, &b = b_.*said;
    differs_ = a && b && *a != *b;
    file_ = a || !b ? a_.file : b_.file;
    if (differs_) differences.push_back(fmt::format("{} {} and {}", field, *a, *b));
    return a ? a : b;
  }
  // What the last take() found.
  bool differs() const { return differs_; }
  const std::string& file() const { return file_; }

  std::vector<std::string> differences;

 private:
  const Claims &a_, &b_;
  bool differs_ = false;
  std::string file_;
};

QuantConfig merged(const Claims& a, const Claims& b) {
  Merge merge(a, b);
  QuantConfig config;
  const auto required = [&](std::string_view field, bool said) {
    if (!said)
      refuse(fmt::format("{}: {}", a.file, field), "is missing",
             "Download the quantisation config of this model");
  };
  const auto bits = merge.take("bits", &Claims::bits);
  required("bits", bits.has_value());
  config.bits = *bits;
  config.files.sizes = merge.file();
  const auto group_size = merge.take("group_size", &Claims::group_size);
  required("group_size", group_size.has_value());
  config.group_size = *group_size;
  if (merge.file() != config.files.sizes) config.files.sizes += " and " + merge.file();
  config.act_order = merge.take("desc_act", &Claims::desc_act);
  config.files.act_order = merge.file();
  if (merge.differs()) config.act_order.reset();
  config.symmetric = merge.take("sym", &Claims::sym);
  config.files.symmetric = merge.file();
  if (merge.differs()) config.symmetric.reset();
  const auto format = merge.take("checkpoint_format", &Claims::checkpoint_format);
  config.files.zero_format = merge.file();
  if (format) config.zero_format = *format == "gptq_v2" ? ZeroFormat::v2 : ZeroFormat::v1;
  if (merge.differs()) config.zero_format = ZeroFormat::contradicted;
  config.model_file_base_name = a.base_name.value_or(b.base_name.value_or(""));
  config.by_gptqmodel = a.by_gptqmodel || b.by_gptqmodel;
  config.dynamic = a.dynamic || b.dynamic;
  if (!merge.differences.empty())
    warn(fmt::format("{} and {}'s {} say different things: {}; the tensors decide", a.file, b.file,
                     kPart, fmt::join(merge.differences, ", ")));
  return config;
}

}  // namespace

std::optional<QuantConfig> read_quant_config(const std::filesystem::path& path) {
  const ModelDirectory directory(path);
  // AutoGPTQ's order.
  std::optional<Claims> own = read_place(directory, "quantize_config.json", "");
  if (!own) own = read_place(directory, "quant_config.json", "");
  const std::optional<Claims> inner = read_place(directory, "config.json", kPart);
  if (!own && !inner) return std::nullopt;
  return own ? merged(*own, inner.value_or(Claims{})) : merged(*inner, Claims{});
}

}  // namespace ropewalk
