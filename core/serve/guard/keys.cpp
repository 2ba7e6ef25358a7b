#include "core/serve/guard/keys.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/digest/sha256.h"

namespace ropewalk::serve {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
constexpr size_t kShortestKey = 8;

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") + 1 - first);
}

bool is_name(std::string_view name) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  return !name.empty() && name.size() <= 64 &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

// systemd writes a credential's reader into an access list, whose mask stat() shows as the group's
// rights (systemd issue 29435). The folder is open to nobody else.
bool is_credential(const std::filesystem::path& file) {
  const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
  return folder && file.parent_path() == folder;
}

Key make_key(std::string_view entry, const std::string& where) {
  const size_t colon = entry.find(':');
  const std::string_view name = trimmed(entry.substr(0, colon));
  const std::string_view key =
      colon == std::string_view::npos ? std::string_view{} : trimmed(entry.substr(colon + 1));
  if (!is_name(name) || key.size() < kShortestKey)
    throw Error(ExitCode::usage, where,
                fmt::format("found something else, expected name:key with a key of at least {} "
                            "characters",
                            kShortestKey),
                "");
  return {std::string(name), sha256(key)};
}

// Whether two digests of equal length are equal, in a time that depends on neither.
bool same(std::string_view a, std::string_view b) {
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace

std::vector<Key> parse_keys(std::string_view text, const std::string& file) {
  std::vector<Key> keys;
  for (size_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view entry = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (entry.empty() || entry.front() == '#') continue;
    keys.push_back(make_key(entry, fmt::format("{}:{}", file, line)));
  }
  return keys;
}

std::vector<Key> parse_key_list(std::string_view list) {
  std::vector<Key> keys;
  while (!list.empty()) {
    const size_t end = std::min(list.find(','), list.size());
    const std::string_view entry = trimmed(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (entry.empty()) continue;
    const std::string number = fmt::format("env-{}", keys.size() + 1);
    const bool named = entry.find(':') != std::string_view::npos;
    keys.push_back(make_key(named ? std::string(entry) : number + ":" + std::string(entry),
                            "ROPEWALK_API_KEYS"));
  }
  return keys;
}

Keys::Keys(std::filesystem::path file, std::string_view list)
    : file_(std::move(file)), listed_(parse_key_list(list)) {
  keys_ = listed_;
  if (!file_.empty()) read();
}

void Keys::read() {
  const std::string name = file_.string();
  struct stat facts {};
  if (stat(name.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode) ||
      static_cast<size_t>(facts.st_size) > kMaxFileBytes)
    throw Error(ExitCode::usage, name, "cannot be read as a file of keys",
                "Correct serve.keys.file");
  if ((facts.st_mode & (is_credential(file_) ? 007 : 077)) != 0)
    throw Error(ExitCode::usage, name, "can be read or written by others than its owner",
                "chmod 600");
  std::ifstream in(file_, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  std::vector<Key> keys = parse_keys(text, name);
  keys.insert(keys.end(), listed_.begin(), listed_.end());
  keys_ = std::move(keys);
  changed_ = facts.st_mtim;
}

std::optional<uint32_t> Keys::find(std::string_view presented) const {
  const std::string digest = sha256(presented);
  std::optional<uint32_t> found;
  for (uint32_t i = 0; i < keys_.size(); ++i)
    if (same(keys_[i].digest, digest) && !found) found = i;
  return found;
}

void Keys::reload() {
  if (file_.empty()) return;
  try {
    read();
    note(fmt::format("{}: read again, there are {} keys now", file_.string(), keys_.size()));
  } catch (const Error& error) {
    warn(error.what());
  }
}

void Keys::refresh() {
  if (file_.empty()) return;
  struct stat facts {};
  if (stat(file_.c_str(), &facts) != 0) return;
  if (facts.st_mtim.tv_sec == changed_.tv_sec && facts.st_mtim.tv_nsec == changed_.tv_nsec) return;
  changed_ = facts.st_mtim;  // what is wrong with it is said once
  reload();
}

}  // namespace ropewalk::serve
