#include "core/serve/request/token_fields.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "core/json/json.h"
#include "core/serve/api_error.h"
#include "core/serve/request/fields.h"

namespace ropewalk::serve {
namespace {

std::optional<int64_t> decimal(std::string_view text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

int32_t checked_id(const std::string& name, int64_t id, uint32_t vocab) {
  if (id < 0 || id >= static_cast<int64_t>(vocab))
    throw ApiError(400, "token_out_of_range",
                   fmt::format("{}: found token id {}, expected 0 to {}.", name, id, vocab - 1),
                   name);
  return static_cast<int32_t>(id);
}

void check_count(const std::string& name, size_t count, size_t most) {
  if (count > most)
    refuse_value(name, fmt::format("found {} entries, expected at most {}", count, most));
}

// A bias, or false for a ban.
void add_bias(const std::string& name, int32_t id, const Json& bias, Biases& out) {
  if (bias.is_boolean() && !bias.get<bool>()) return out.banned.push_back(id);
  if (!bias.is_number()) refuse_type(name, bias, "a number, or false to ban the token");
  out.ids.push_back(id);
  out.values.push_back(bias.get<double>());
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(separators), text.size());
    std::string_view part = text.substr(0, end);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) parts.push_back(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

}  // namespace

ConfigValue number_list(const std::vector<double>& numbers, const std::string& field) {
  std::vector<std::string> items;
  for (const double number : numbers) items.push_back(fmt::format("{}", number));
  return make_list(std::move(items), {.file = field});
}

ConfigValue text_list(const std::vector<std::string>& texts, const std::string& field) {
  ConfigValue list = make_list(texts, {.file = field});
  for (ConfigValue& item : list.items) item.quoted = true;
  return list;
}

Biases read_biases(const std::string& name, const Json& value, const Tokenizer& tokenizer) {
  Biases biases;
  const uint32_t vocab = tokenizer.vocab_size();
  check_count(name, value.size(), kMaxBans);
  if (value.is_object()) {
    for (const auto& [key, bias] : value.items()) {
      const std::optional<int64_t> id = decimal(key);
      if (!id)
        refuse_value(name,
                     fmt::format("found the key {}, expected a token id", printable(key, 64)));
      add_bias(name, checked_id(name, *id, vocab), bias, biases);
    }
    return biases;
  }
  if (!value.is_array()) refuse_type(name, value, "an object of token ids");
  for (const Json& pair : value) {
    if (!pair.is_array() || pair.size() != 2)
      refuse_type(name, pair, "pairs of a token and a bias");
    if (pair[0].is_string()) {
      const auto& text = pair[0].get_ref<const std::string&>();
      check_count(name, text.size(), kMaxBanBytes);
      for (const int32_t id : tokenizer.encode_text(text, SpecialTokens::as_text))
        add_bias(name, id, pair[1], biases);
      continue;
    }
    add_bias(name, read_id(name, pair[0], vocab), pair[1], biases);
  }
  check_count(name, biases.ids.size() + biases.banned.size(), kMaxBans);
  return biases;
}

int32_t read_id(const std::string& name, const Json& value, uint32_t vocab) {
  const std::optional<int64_t> id = exact_integer(value);
  if (!id) refuse_type(name, value, "a token id");
  return checked_id(name, *id, vocab);
}

std::vector<double> read_id_list(const std::string& name, const Json& value, uint32_t vocab) {
  std::vector<double> ids;
  if (value.is_string()) {
    for (const std::string_view part : split(value.get_ref<const std::string&>(), ",")) {
      const std::optional<int64_t> id = decimal(part);
      if (!id) refuse_type(name, value, "token ids with commas between them");
      ids.push_back(checked_id(name, *id, vocab));
    }
  } else {
    if (!value.is_array()) refuse_type(name, value, "a list of token ids");
    for (const Json& item : value) ids.push_back(read_id(name, item, vocab));
  }
  check_count(name, ids.size(), kMaxBans);
  return ids;
}

std::vector<std::string> read_texts(const std::string& name, const Json& value, size_t max_count,
                                    size_t max_bytes) {
  std::vector<std::string> texts;
  const auto take = [&](const Json& item) {
    if (!item.is_string()) refuse_type(name, item, "a text");
    const auto& text = item.get_ref<const std::string&>();
    if (text.empty() || text.size() > max_bytes)
      refuse_value(
          name, fmt::format("found a text of {} bytes, expected 1 to {}", text.size(), max_bytes));
    texts.push_back(text);
  };
  if (value.is_string() && value.get_ref<const std::string&>().empty()) return texts;
  if (!value.is_array()) {
    take(value);
    return texts;
  }
  check_count(name, value.size(), max_count);
  for (const Json& item : value) take(item);
  return texts;
}

std::vector<std::string> breaker_texts(const std::string& name, const Json& value) {
  if (!value.is_string()) return read_texts(name, value, kMaxBans, kMaxBanBytes);
  std::string text = value.get<std::string>();
  if (text.empty()) return {};
  if (!text.starts_with('[')) text = "[" + text + "]";
  try {
    return read_texts(name, parse_json(text, {name, ExitCode::usage}), kMaxBans, kMaxBanBytes);
  } catch (const Error&) {
    refuse_type(name, value, "a list of texts, or its JSON");
  }
}

std::vector<std::string> sampler_texts(const std::string& name, const Json& value) {
  if (!value.is_string()) return read_texts(name, value, 64, 64);
  std::vector<std::string> texts;
  for (const std::string_view part : split(value.get_ref<const std::string&>(), ",\n"))
    texts.emplace_back(part);
  check_count(name, texts.size(), 64);
  return texts;
}

}  // namespace ropewalk::serve
