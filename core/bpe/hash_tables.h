// hash_tables.h — the two look-ups of a BPE vocabulary: a token's name, and a pair that merges.
//
// Keys come from files that may have been made to collide, so the hash has a seed that differs in
// every process; what is found does not depend on it. Const use is safe from several threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace ropewalk {

// Both halves of the product in one, so that no difference of two inputs has a known effect without
// the seed (the mixing step of wyhash, github.com/wangyi-fudan/wyhash).
inline uint64_t fold(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{a} * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t hash_seed();  // of this process; odd
uint64_t seeded_hash(std::string_view name);
// Two tokens or code points, in this order.
inline uint64_t seeded_pair_hash(uint64_t seed, uint32_t left, uint32_t right) {
  return fold((uint64_t{left} << 32 | right) ^ seed, seed ^ 0x9e3779b97f4a7c14);
}

// Names to ids. Does not own the names.
class NameTable {
 public:
  explicit NameTable(size_t expected);  // the max number of names

  // False where the name is there already; the first id stays.
  bool insert(std::string_view name, int32_t id);
  int32_t find(std::string_view name) const;  // -1: none

 private:
  struct Slot {
    const char* data = nullptr;  // nullptr: empty
    uint32_t size = 0;
    int32_t id = -1;
  };
  size_t slot_of(std::string_view name) const;

  std::vector<Slot> slots_;  // a power of two, at most half full
};

// What two neighbouring tokens become, and how early: the lower rank is merged first.
struct Merge {
  uint32_t rank;
  int32_t id;
};

class MergeTable {
 public:
  explicit MergeTable(size_t expected);

  void insert(int32_t left, int32_t right, Merge merge);  // replaces an earlier one
  const Merge* find(int32_t left, int32_t right) const {
    for (size_t i = first_slot(left, right);; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.left == left && slot.right == right) return &slot.merge;
      if (slot.left < 0) return nullptr;
    }
  }

 private:
  struct Slot {
    int32_t left = -1, right = -1;  // -1: empty
    Merge merge = {};
  };
  size_t first_slot(int32_t left, int32_t right) const {
    return seeded_pair_hash(seed_, static_cast<uint32_t>(left), static_cast<uint32_t>(right)) &
           mask_;
  }

  uint64_t seed_;
  size_t mask_;
  std::vector<Slot> slots_;
};

}  // namespace ropewalk
