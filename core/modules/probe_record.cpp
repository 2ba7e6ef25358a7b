#include "core/modules/probe_record.h"

#include <fmt/format.h>

#include <charconv>
#include <vector>

namespace ropewalk {
namespace {

constexpr std::string_view kBegin = "ropewalk-probe";
constexpr std::string_view kEnd = "end";

class Writer {
 public:
  void text(std::string_view field) {
    record_ += field;
    record_ += '\0';
  }
  template <class Number>
  void number(Number value) {
    text(fmt::format("{}", value));
  }
  std::string take() { return std::move(record_); }

 private:
  std::string record_;
};

class Fields {
 public:
  explicit Fields(std::string_view record) : rest_(record) {}

  bool failed() const { return failed_; }
  bool at_end() const { return rest_.empty(); }

  std::string text() {
    const size_t end = rest_.find('\0');
    if (end == std::string_view::npos) {
      failed_ = true;
      return "";
    }
    const std::string_view field = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return std::string(field);
  }
  template <class Number>
  Number number() {
    const std::string field = text();
    Number value{};
    const char* end = field.data() + field.size();
    const auto [stop, error] = std::from_chars(field.data(), end, value);
    if (error != std::errc{} || stop != end) failed_ = true;
    return value;
  }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

void write(Writer& writer, const ModuleDescription& module) {
  writer.number(static_cast<uint32_t>(module.kind));
  for (const std::string& field : {module.name, module.version, module.help, module.source})
    writer.text(field);
  writer.number(module.options.size());
  for (const OptionDescription& option : module.options) {
    writer.text(option.name);
    writer.number(static_cast<uint32_t>(option.type));
    writer.text(option.default_value ? "=" + *option.default_value : "");
    writer.text(option.help);
    writer.number(option.minimum);
    writer.number(option.maximum);
  }
}

OptionDescription read_option(Fields& fields) {
  OptionDescription option{};
  option.name = fields.text();
  option.type = static_cast<abi::OptionType>(fields.number<uint32_t>());
  const std::string default_value = fields.text();
  if (!default_value.empty()) option.default_value = default_value.substr(1);
  option.help = fields.text();
  option.minimum = fields.number<double>();
  option.maximum = fields.number<double>();
  return option;
}

std::optional<ModuleDescription> read_module(Fields& fields) {
  ModuleDescription module{};
  module.kind = static_cast<abi::ModuleKind>(fields.number<uint32_t>());
  for (std::string* field : {&module.name, &module.version, &module.help, &module.source})
    *field = fields.text();
  const auto count = fields.number<size_t>();
  if (fields.failed() || count > kMaxOptions) return std::nullopt;
  for (size_t i = 0; i < count; ++i) module.options.push_back(read_option(fields));
  if (fields.failed() || kind_name(module.kind).empty()) return std::nullopt;
  for (const OptionDescription& option : module.options)
    if (type_name(option.type).empty()) return std::nullopt;
  return module;
}

}  // namespace

std::string encode_answer(const ProbeAnswer& answer) {
  Writer writer;
  writer.text(kBegin);
  if (const auto* module = std::get_if<ModuleDescription>(&answer)) {
    writer.text("module");
    write(writer, *module);
  } else {
    writer.text("refused");
    writer.text(std::get<ProbeRefusal>(answer).reason);
  }
  writer.text(kEnd);
  return writer.take();
}

std::optional<ProbeAnswer> decode_answer(std::string_view record) {
  Fields fields(record);
  if (fields.text() != kBegin) return std::nullopt;
  const std::string kind = fields.text();
  std::optional<ProbeAnswer> answer;
  if (kind == "module") {
    std::optional<ModuleDescription> module = read_module(fields);
    if (module) answer = std::move(*module);
  } else if (kind == "refused") {
    answer = ProbeRefusal{fields.text()};
  }
  if (fields.text() != kEnd || fields.failed() || !fields.at_end()) return std::nullopt;
  return answer;
}

}  // namespace ropewalk
