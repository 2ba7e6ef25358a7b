// token_fields.h — fields that hold tokens and texts in the forms that clients send: lists, lists
// written as text, maps of ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/value.h"
#include "core/json/json_fwd.h"
#include "core/text/tokenizer.h"

namespace ropewalk::serve {

inline constexpr size_t kMaxBans = 1024;
inline constexpr size_t kMaxBanBytes = 1024;

// Values of a configuration that a request's field set.
ConfigValue number_list(const std::vector<double>& numbers, const std::string& field);
ConfigValue text_list(const std::vector<std::string>& texts, const std::string& field);

struct Biases {
  std::vector<double> ids, values;
  std::vector<double> banned;
};
// {"id": bias}, or [[id or text, bias], ...], at most 1024; false in place of a bias bans. A text
// is all of its tokens, as in llama.cpp. Throws ApiError 400.
Biases read_biases(const std::string& name, const Json& value, const Tokenizer& tokenizer);

// [1, 2], "1,2" or "". Throws ApiError 400, for ids outside of the vocabulary too.
std::vector<double> read_id_list(const std::string& name, const Json& value, uint32_t vocab);
int32_t read_id(const std::string& name, const Json& value, uint32_t vocab);

// A text or a list of texts, each of 1 to `max_bytes` bytes. Throws ApiError 400.
std::vector<std::string> read_texts(const std::string& name, const Json& value, size_t max_count,
                                    size_t max_bytes);

// A list of texts, its JSON as a text, or what SillyTavern sends: `"a","b"`.
std::vector<std::string> breaker_texts(const std::string& name, const Json& value);
// A list of texts, or a text with one in each line or between commas.
std::vector<std::string> sampler_texts(const std::string& name, const Json& value);

}  // namespace ropewalk::serve
