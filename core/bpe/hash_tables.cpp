#include "core/bpe/hash_tables.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>

namespace ropewalk {
namespace {

size_t slots_for(size_t expected) { return std::bit_ceil(2 * expected + 2); }

}  // namespace

uint64_t hash_seed() {
  static const uint64_t seed = [] {
    std::random_device device;
    return uint64_t{device()} << 32 | device() | 1;
  }();
  return seed;
}

uint64_t seeded_hash(std::string_view name) {
  const uint64_t seed = hash_seed();
  uint64_t hash = seed ^ name.size();
  while (!name.empty()) {
    uint64_t word = 0;
    const size_t taken = std::min(name.size(), sizeof word);
    std::memcpy(&word, name.data(), taken);
    name.remove_prefix(taken);
    hash = fold(hash ^ word, seed ^ 0x9e3779b97f4a7c14);
  }
  return fold(hash, seed ^ 0xe7037ed1a0b428db);
}

NameTable::NameTable(size_t expected) : slots_(slots_for(expected)) {}

size_t NameTable::slot_of(std::string_view name) const {
  size_t i = seeded_hash(name) & (slots_.size() - 1);
  while (slots_[i].data && std::string_view(slots_[i].data, slots_[i].size) != name)
    i = (i + 1) & (slots_.size() - 1);
  return i;
}

// REQUIRES: fewer than `expected` names so far.
bool NameTable::insert(std::string_view name, int32_t id) {
  Slot& slot = slots_[slot_of(name)];
  if (slot.data) return false;
  slot = {name.data(), static_cast<uint32_t>(name.size()), id};
  return true;
}

int32_t NameTable::find(std::string_view name) const { return slots_[slot_of(name)].id; }

MergeTable::MergeTable(size_t expected)
    : seed_(hash_seed()), mask_(slots_for(expected) - 1), slots_(mask_ + 1) {}

void MergeTable::insert(int32_t left, int32_t right, Merge merge) {
  size_t i = first_slot(left, right);
  while (slots_[i].left >= 0 && (slots_[i].left != left || slots_[i].right != right))
    i = (i + 1) & mask_;
  slots_[i] = {left, right, merge};
}

}  // namespace ropewalk
