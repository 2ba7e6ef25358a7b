// bpe_model.h — a BPE vocabulary and its merges as a file lists them. Values only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

// A name within BpeModel::names.
struct TokenName {
  uint32_t start = 0;
  uint32_t size = 0;
};

struct BpeModel {
  struct Entry {
    TokenName name;
    int32_t id;
  };

  std::vector<char> names;
  std::vector<Entry> vocabulary;                 // in the file's order
  std::vector<std::array<TokenName, 2>> merges;  // the first is merged first
  std::optional<std::string> unknown;            // unk_token
  bool fuse_unknown = false;                     // a run of unknown characters is one token
  bool byte_fallback = false;                    // unknown characters are spelt <0xNN>
  bool ignore_merges = false;                    // a piece that is a token is that token

  std::string_view text(TokenName name) const { return {names.data() + name.start, name.size}; }
};

}  // namespace ropewalk
