#include "core/base/error.h"

#include <fmt/format.h>

#include "core/base/utf8.h"

namespace ropewalk {
namespace {

constexpr size_t kNameLimit = 120;
// Callers cut the names that they quote; this limit only guards against one that forgot.
constexpr size_t kSentenceLimit = 2000;

std::string sentence(std::string_view where, std::string_view what, std::string_view advice) {
  std::string text;
  if (!where.empty()) text += printable(where, 400) + ": ";
  text += printable(what, kSentenceLimit) + ".";
  if (!advice.empty()) text += " " + printable(advice, kSentenceLimit) + ".";
  return text;
}

}  // namespace

Error::Error(ExitCode code, std::string_view where, std::string_view what, std::string_view advice)
    : std::runtime_error(sentence(where, what, advice)), code_(code) {}

std::string printable(std::string_view name, size_t limit) {
  std::string out;
  size_t i = 0;
  while (i < name.size()) {
    if (i >= limit) {
      out += "...";
      break;
    }
    const size_t length = utf8_sequence_length(name.substr(i));
    const auto byte = static_cast<unsigned char>(name[i]);
    if (length == 0 || byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
      ++i;
    } else {
      out.append(name, i, length);
      i += length;
    }
  }
  return out;
}

std::string printable(std::string_view name) { return printable(name, kNameLimit); }

}  // namespace ropewalk
