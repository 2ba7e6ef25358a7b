#include "core/text/bpe_text.h"

#include <fmt/format.h>

#include "core/json/json_fields.h"
#include "core/tokenizer_json/added_matcher.h"

namespace ropewalk {

BpeText::BpeText(std::unique_ptr<BpeTokenizer> tokenizer)
    : TextEncoder(tokenizer->added()), tokenizer_(std::move(tokenizer)) {}

std::vector<int32_t> BpeText::encode_text(std::string_view text, SpecialTokens special) const {
  std::vector<int32_t> ids;
  tokenizer_->append(text, special == SpecialTokens::parse ? FindAdded::all : FindAdded::plain,
                     TextPlace::first, ids);
  return ids;
}

std::optional<int32_t> BpeText::unknown_id() const {
  const int32_t id = tokenizer_->vocabulary().unknown();
  return id < 0 ? std::nullopt : std::optional(id);
}

std::vector<int32_t> BpeText::encode_segments(std::vector<Segment> segments) const {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < segments.size(); ++i) {
    if (segments[i].token) {
      ids.push_back(segments[i].token->id);
      continue;
    }
    std::string_view text = segments[i].text;
    const AddedToken* left = i > 0 ? segments[i - 1].token : nullptr;
    const AddedToken* right = i + 1 < segments.size() ? segments[i + 1].token : nullptr;
    if (left && left->strips_right) text = without_space_in_front(text);
    if (right && right->strips_left) text = without_space_behind(text);
    tokenizer_->append(text, FindAdded::plain, i == 0 ? TextPlace::first : TextPlace::later, ids);
  }
  return ids;
}

TextParts make_bpe_text(TokenizerJsonFile file, const SideFiles& beside, const JsonSource& source) {
  auto vocabulary = std::make_unique<BpeVocabulary>(std::move(file.model), source);
  TokenizerConfig config = parse_bpe_config(beside,
                                            {.vocabulary = *vocabulary,
                                             .added = std::move(file.added),
                                             .front = read_template(file.post_processor, source)},
                                            source);
  auto tokenizer =
      std::make_unique<BpeTokenizer>(std::move(vocabulary), file, config.added, source);
  // A token that ends a sequence must not be one that a text may yield.
  for (const std::string& name : {config.bos, config.eos})
    for (const AddedToken& token : config.added)
      if (token.name == name && tokenizer->is_spelled(token.id))
        throw Error(source.code, source.file,
                    fmt::format("\"{}\" is a byte or the unknown token, expected one token for the "
                                "beginning and one for the end of a sequence",
                                printable(name)),
                    "Name them in tokenizer_config.json as bos_token and eos_token");
  return {std::make_unique<BpeText>(std::move(tokenizer)), std::move(config)};
}

}  // namespace ropewalk
