#include "core/tokenizer_json/template.h"

#include <fmt/format.h>

#include <utility>

#include "core/base/log.h"
#include "core/json/json.h"
#include "core/tokenizer_json/component.h"
#include "core/tokenizer_json/tokenizer_json.h"

namespace ropewalk {
namespace {

constexpr char kKnownPostProcessors[] = "ByteLevel, Sequence, TemplateProcessing";

class Reader {
 public:
  explicit Reader(const JsonSource& source) : source_(source) {}

  void take(const std::string& type, const JsonFields& fields) {
    if (type == "ByteLevel") return;
    if (type != "TemplateProcessing") refuse_component(fields, type, kKnownPostProcessors);
    if (seen_) fields.fail("type", "found a second TemplateProcessing, expected one", "");
    seen_ = true;
    const auto single = fields.json().find("single");
    if (single == fields.json().end() || !single->is_array())
      fields.fail("single", "is missing, expected a list", "");
    bool behind = false;
    for (size_t i = 0; i < single->size(); ++i) {
      const JsonFields piece = fields.item("single", i);
      if (piece.has("Sequence")) {
        behind = true;
        continue;
      }
      const std::string name = piece.child("SpecialToken").text("id");
      const TemplateToken token{name, id_of(name, fields)};
      if (behind) {
        verbose(fmt::format("{}: the post_processor's {} behind a text is left out", source_.file,
                            printable(name)));
      } else if (found) {
        fields.fail("single", "found several tokens in front of the text, expected at most one",
                    "");
      } else {
        found = token;
      }
    }
  }

  std::optional<TemplateToken> found;

 private:
  static int32_t id_of(const std::string& name, const JsonFields& fields) {
    const JsonFields known = fields.child("special_tokens");
    if (!known.has(name))
      fields.fail("single", fmt::format("\"{}\" is not among special_tokens", printable(name)), "");
    const JsonFields token = known.child(name);
    const auto ids = token.json().find("ids");
    if (ids == token.json().end() || !ids->is_array() || ids->size() != 1 ||
        !(*ids)[0].is_number_unsigned() || (*ids)[0].get<uint64_t>() > INT32_MAX)
      token.fail("ids", "expected a list of one id", "");
    return (*ids)[0].get<int32_t>();
  }

  const JsonSource& source_;
  bool seen_ = false;
};

}  // namespace

std::optional<TemplateToken> read_template(const Json& post_processor, const JsonSource& source) {
  Reader reader(source);
  for_each_component(
      post_processor, source, "post_processor", "processors",
      [&](const std::string& type, const JsonFields& fields) { reader.take(type, fields); });
  return std::move(reader.found);
}

}  // namespace ropewalk
