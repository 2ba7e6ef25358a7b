#include "core/tokenizer_json/component.h"

#include <fmt/format.h>

#include "core/base/utf8.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr size_t kMaxNesting = 8;

void walk(const Json& component, const JsonSource& source, const std::string& path,
          std::string_view list, size_t nesting,
          const std::function<void(const std::string&, const JsonFields&)>& take) {
  const JsonFields fields(component, source, path);
  const std::string type = fields.text("type");
  if (type != "Sequence") return take(type, fields);
  if (nesting > kMaxNesting)
    fields.fail("type", fmt::format("Sequences nest deeper than {}", kMaxNesting), "");
  const auto found = component.find(list);
  if (found == component.end() || !found->is_array())
    fields.fail(list, "is missing, expected a list of components", "");
  for (size_t i = 0; i < found->size(); ++i)
    walk((*found)[i], source, fmt::format("{}.{}[{}]", path, list, i), list, nesting + 1, take);
}

}  // namespace

void for_each_component(const Json& component, const JsonSource& source, const std::string& path,
                        std::string_view list,
                        const std::function<void(const std::string&, const JsonFields&)>& take) {
  if (!component.is_null()) walk(component, source, path, list, 1, take);
}

void refuse_component(const JsonFields& fields, const std::string& type, std::string_view known) {
  fields.fail("type", fmt::format("found \"{}\", expected one of {}", printable(type), known),
              "Take the model's tokenizer.model if it has one");
}

PatternText read_pattern(const JsonFields& component) {
  const JsonFields pattern = component.child("pattern");
  const bool regex = pattern.has("Regex");
  PatternText read{pattern.text(regex ? "Regex" : "String"), regex};
  if (read.text.empty()) component.fail("pattern", "the pattern is empty", "");
  return read;
}

bool read_flag(const JsonFields& fields, std::string_view key, bool absent) {
  return fields.has(key) ? fields.boolean(key) : absent;
}

namespace {

// Files older than tokenizers 0.15 have add_prefix_space instead.
PrependScheme read_scheme(const JsonFields& fields) {
  if (!fields.has("prepend_scheme"))
    return read_flag(fields, "add_prefix_space", true) ? PrependScheme::always
                                                       : PrependScheme::never;
  const std::string scheme = fields.text("prepend_scheme");
  if (scheme == "never") return PrependScheme::never;
  if (scheme == "first") return PrependScheme::first;
  if (scheme == "always") return PrependScheme::always;
  fields.fail("prepend_scheme",
              fmt::format("found \"{}\", expected always, first or never", printable(scheme)), "");
}

}  // namespace

MetaspaceText read_metaspace(const JsonFields& component) {
  MetaspaceText read{component.text("replacement"), read_scheme(component)};
  if (read.replacement.empty() || utf8_sequence_length(read.replacement) != read.replacement.size())
    component.fail("replacement", "expected one character", "");
  return read;
}

}  // namespace ropewalk
