#include "core/tokenizer_json/decoder.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <utility>

#include "core/bpe/byte_map.h"
#include "core/json/json.h"
#include "core/tokenizer_json/component.h"
#include "core/tokenizer_json/normalizer.h"

namespace ropewalk {
namespace {

constexpr char kKnownDecoders[] =
    "ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Sequence, Strip";

// <0x0A>
std::optional<char> byte_of(std::string_view name) {
  if (name.size() != 6 || !name.starts_with("<0x") || name.back() != '>') return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(name.data() + 3, name.data() + 5, value, 16);
  if (error != std::errc{} || end != name.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

}  // namespace

Decoder::Decoder(const Json& decoder, const JsonSource& source) {
  for_each_component(
      decoder, source, "decoder", "decoders",
      [&](const std::string& type, const JsonFields& fields) { take(type, fields); });
  if (stage_ == Stage::none)
    throw Error(source.code, source.file + ": decoder",
                fmt::format("is missing, expected one of {}", kKnownDecoders), "");
}

void Decoder::enter(Stage stage, const JsonFields& fields) {
  const bool alone = stage == Stage::alone ? stage_ == Stage::none : stage_ != Stage::alone;
  if (!alone || stage < stage_ || (stage == Stage::strip && stage_ != Stage::fuse))
    fields.fail("type",
                fmt::format("found {} here, expected Replace, ByteFallback, Fuse and Strip in this "
                            "order, or ByteLevel or Metaspace alone",
                            fields.text("type")),
                "Take the model's tokenizer.model if it has one");
  stage_ = stage;
}

void Decoder::take(const std::string& type, const JsonFields& fields) {
  if (type == "Replace") {
    enter(Stage::replace, fields);
    PatternText pattern = read_pattern(fields);
    if (pattern.regex) fields.fail("pattern", "found a Regex, expected a String", "");
    replacements_.push_back({std::move(pattern.text), fields.text("content")});
  } else if (type == "ByteFallback") {
    enter(Stage::byte_fallback, fields);
    byte_fallback_ = true;
  } else if (type == "Fuse") {
    enter(Stage::fuse, fields);
  } else if (type == "Strip") {
    enter(Stage::strip, fields);
    const uint64_t start = fields.unsigned_integer("start", 0, UINT32_MAX);
    if (fields.text("content") != " " || start > 1 ||
        fields.unsigned_integer("stop", 0, UINT32_MAX) != 0)
      fields.fail("content", "expected Strip of one space at the start", "");
    strips_one_ = start == 1;
  } else if (type == "ByteLevel" || type == "Metaspace") {
    enter(Stage::alone, fields);
    byte_level_ = type == "ByteLevel";
    if (byte_level_) return;
    MetaspaceText metaspace = read_metaspace(fields);
    replacements_.push_back({std::move(metaspace.replacement), " "});
    strips_all_ = metaspace.scheme != PrependScheme::never;
  } else {
    refuse_component(fields, type, kKnownDecoders);
  }
}

DecodedName Decoder::decode(std::string_view name) const {
  // A name with a character that stands for no byte is text, such as that of an added token.
  if (byte_level_) return {.bytes = bytes_of_characters(name).value_or(std::string(name))};
  DecodedName decoded;
  if (strips_all_) {
    const std::string& space = replacements_.front().pattern;
    for (std::string_view rest = name; rest.starts_with(space); rest.remove_prefix(space.size()))
      ++decoded.own_spaces;
  }
  decoded.bytes = name;
  for (const auto& [pattern, content] : replacements_)
    decoded.bytes = replaced(std::move(decoded.bytes), pattern, content);
  if (byte_fallback_)
    if (const std::optional<char> byte = byte_of(decoded.bytes)) decoded.bytes.assign(1, *byte);
  if (strips_one_ && decoded.bytes.starts_with(' ')) decoded.own_spaces = 1;
  return decoded;
}

}  // namespace ropewalk
