// keys.h — who may ask: API keys from a file and from the environment.
//
// A key is kept as its SHA-256 alone. All keys are compared, each in full, so that the time says
// nothing. Not thread-safe.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::serve {

struct Key {
  std::string name;
  std::string digest;  // SHA-256, hexadecimal
};

// A `name:key` in each line; empty lines and those that begin with # are skipped. Throws
// Error(usage) with FILE:LINE, and never repeats a key.
std::vector<Key> parse_keys(std::string_view text, const std::string& file);
// `name:key` or a key alone, between commas.
std::vector<Key> parse_key_list(std::string_view list);

class Keys {
 public:
  // `file` empty: none. `list` is what ROPEWALK_API_KEYS holds. Throws Error(usage) where the file
  // cannot be read or others than its owner can.
  Keys(std::filesystem::path file, std::string_view list);

  bool any() const { return !keys_.empty(); }
  size_t count() const { return keys_.size(); }

  // The number of the key that `presented` is, from 0; nothing where it is none.
  std::optional<uint32_t> find(std::string_view presented) const;
  const std::string& name(uint32_t key) const { return keys_[key].name; }
  const std::string& digest(uint32_t key) const { return keys_[key].digest; }

  // Reads the file again: in any case, or where it has changed. What is wrong with it then is
  // warned about, and the keys stay as they were.
  void reload();
  void refresh();

 private:
  void read();

  std::filesystem::path file_;
  std::vector<Key> listed_;  // from the environment
  std::vector<Key> keys_;
  timespec changed_{};
};

}  // namespace ropewalk::serve
