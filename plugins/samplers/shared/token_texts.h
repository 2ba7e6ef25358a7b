// token_texts.h — the ids of a text in an option.
//
// SentencePiece puts a space before its input, so a word has other ids at the beginning of a text
// than inside one. Links that look for a word need both.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/abi/sampler.h"

namespace ropewalk::samplers {

inline std::vector<int32_t> ids_of(const abi::Host& host, const std::string& text) {
  std::vector<int32_t> ids(text.size() + 2);
  const uint32_t count = host.tokenize(text, ids);
  const bool all = count <= ids.size();  // a normaliser may have made the text longer
  ids.resize(count);
  if (!all) host.tokenize(text, ids);
  return ids;
}

// The ids of `text` where it follows other text; none where every preceding text merges with it.
inline std::vector<int32_t> ids_inside(const abi::Host& host, std::string_view text) {
  for (const std::string before : {"\n", "a"}) {
    const std::vector<int32_t> whole = ids_of(host, before + std::string(text));
    const std::vector<int32_t> front = ids_of(host, before);
    if (whole.size() > front.size() && std::equal(front.begin(), front.end(), whole.begin()))
      return {whole.begin() + static_cast<ptrdiff_t>(front.size()), whole.end()};
  }
  return {};
}

// Both spellings, without duplicates and empty ones.
inline std::vector<std::vector<int32_t>> spellings(const abi::Host& host, std::string_view text) {
  std::vector<std::vector<int32_t>> found = {ids_of(host, std::string(text)),
                                             ids_inside(host, text)};
  if (found[0] == found[1]) found.pop_back();
  std::erase_if(found, [](const std::vector<int32_t>& ids) { return ids.empty(); });
  return found;
}

inline std::string number_text(double number) {
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr};
}

// A list of ids; refuses ids that the model does not have.
inline std::vector<int32_t> id_list(const abi::Options& options, std::string_view name) {
  std::vector<int32_t> ids;
  for (const double number : options.numbers(name)) {
    const double limit = options.host() ? options.host()->vocab_size() : 2147483648.0;
    if (number != std::floor(number) || number < 0 || number >= limit)
      throw abi::Failure(abi::StatusCode::invalid_argument,
                         std::string(name) + ": " + number_text(number) +
                             " is no token id, expected 0 to " +
                             std::to_string(static_cast<int64_t>(limit) - 1));
    ids.push_back(static_cast<int32_t>(number));
  }
  return ids;
}

}  // namespace ropewalk::samplers
