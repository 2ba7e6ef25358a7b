// options.h — a plugin's options: how it declares them and how it reads them.
//
// Options arrive as text taken from YAML (yaml-cpp never crosses). The host has checked names,
// types and ranges against the declaration and has filled in the defaults before create() is
// called, so a plugin checks only what a range cannot express.
#pragma once

#include <charconv>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/abi/guard.h"

namespace ropewalk::abi {

enum class OptionType : uint32_t { boolean = 1, integer, number, text, numbers, texts };

struct OptionInfo {
  const char* name;  // as written in YAML
  OptionType type;
  const char* default_value;  // as it would be written; nullptr: absent unless given
  const char* help;           // one line, with the unit
  double minimum = -std::numeric_limits<double>::infinity();  // numbers and integers, inclusive
  double maximum = std::numeric_limits<double>::infinity();
};

// One value. Booleans are "true" or "false"; the items of a list are joined by kItemSeparator.
struct OptionValue {
  std::string_view name;
  std::string_view value;
};
inline constexpr char kItemSeparator = '\x1f';

// Facts about the model that a new object will serve. Absent (nullptr) for backends and
// when a module is only probed.
class Host {
 public:
  virtual uint32_t vocab_size() const noexcept = 0;
  virtual std::span<const int32_t> end_ids() const noexcept = 0;  // any of them ends a reply
  // Ids of `text` as plain text, without a leading BOS. Writes at most ids.size() and returns how
  // many there are.
  virtual uint32_t tokenize(std::string_view text, std::span<int32_t> ids) const noexcept = 0;

 protected:
  ~Host() = default;
};

struct CreateInfo {
  std::span<const OptionValue> options;
  const Host* host = nullptr;
};

// Typed access for a plugin's constructor. Throws Failure, which make_module()'s guard reports.
class Options {
 public:
  explicit Options(const CreateInfo& info) : info_(info) {}

  const Host* host() const { return info_.host; }

  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::string_view text(std::string_view name) const { return required(name); }
  bool boolean(std::string_view name) const { return required(name) == "true"; }
  double number(std::string_view name) const { return parse(name, required(name)); }
  int64_t integer(std::string_view name) const {
    const std::string_view value = required(name);
    int64_t parsed = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
    if (error != std::errc{} || end != value.data() + value.size()) bad(name, "an integer", value);
    return parsed;
  }
  std::vector<std::string_view> texts(std::string_view name) const {
    std::vector<std::string_view> items;
    std::string_view rest = required(name);
    while (!rest.empty()) {
      const size_t cut = rest.find(kItemSeparator);
      items.push_back(rest.substr(0, cut));
      rest = cut == std::string_view::npos ? std::string_view{} : rest.substr(cut + 1);
    }
    return items;
  }
  std::vector<double> numbers(std::string_view name) const {
    std::vector<double> values;
    for (const std::string_view item : texts(name)) values.push_back(parse(name, item));
    return values;
  }

 private:
  const OptionValue* find(std::string_view name) const {
    for (const OptionValue& option : info_.options)
      if (option.name == name) return &option;
    return nullptr;
  }
  std::string_view required(std::string_view name) const {
    const OptionValue* option = find(name);
    if (!option)
      throw Failure(StatusCode::invalid_argument, "option " + std::string(name) + " is missing");
    return option->value;
  }
  [[noreturn]] static void bad(std::string_view name, const char* type, std::string_view value) {
    throw Failure(StatusCode::invalid_argument, "option " + std::string(name) + ": expected " +
                                                    type + ", found " + std::string(value));
  }
  static double parse(std::string_view name, std::string_view value) {
    double parsed = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
    if (error != std::errc{} || end != value.data() + value.size()) bad(name, "a number", value);
    return parsed;
  }

  CreateInfo info_;
};

}  // namespace ropewalk::abi
