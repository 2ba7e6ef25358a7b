// name_matcher.h — finds names in a text: the leftmost first, of several that begin there the
// longest.
//
// Const after construction and then safe to share between threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

class NameMatcher {
 public:
  static constexpr size_t kNone = SIZE_MAX;

  struct Match {
    size_t name = kNone;        // place in the constructor's list; of equal names the first
    size_t begin = 0, end = 0;  // in the text
  };

  // Empty names occur nowhere.
  explicit NameMatcher(const std::vector<std::string>& names);

  // The first name in `text` at or after `from`. Time is the length of what is passed over, times
  // the logarithm of how many names share a beginning with it.
  Match find(std::string_view text, size_t from) const;

 private:
  struct Entry {
    std::string name;
    size_t place;
  };

  size_t longest(std::string_view text) const;  // index into sorted_ or kNone

  std::vector<Entry> sorted_;
  std::array<size_t, 257> first_ = {};  // [first_[b], first_[b + 1]) of sorted_ begin with byte b
};

}  // namespace ropewalk
