// per_id.h — a value for some ids of the vocabulary: what a link collects from the history before
// it changes the candidates. clear() takes constant time and keeps the memory, so that nothing is
// allocated after the first tokens.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/abi/sampler.h"

namespace ropewalk::samplers {

template <class Value>
class PerId {
 public:
  explicit PerId(const abi::Host* host) {
    const uint32_t vocabulary = host ? host->vocab_size() : 0;
    slots_.resize(vocabulary);
    ids_.reserve(vocabulary);
  }

  void clear() {
    ++epoch_;
    ids_.clear();
  }

  // The value of an id, made by Value{} where it has none since the last clear().
  // REQUIRES: id >= 0.
  Value& at(int32_t id) {
    const auto index = static_cast<size_t>(id);
    if (index >= slots_.size()) slots_.resize(index + 1);
    Slot& slot = slots_[index];
    if (slot.epoch != epoch_) {
      slot = {epoch_, Value{}};
      ids_.push_back(id);
    }
    return slot.value;
  }

  const Value* find(int32_t id) const {
    const auto index = static_cast<size_t>(id);
    return index < slots_.size() && slots_[index].epoch == epoch_ ? &slots_[index].value : nullptr;
  }

  bool empty() const { return ids_.empty(); }

  // Sets logit = change(logit, value) for each candidate that has a value. At the top of a chain
  // candidate i has id i, and only candidates with a value are read; otherwise all are read once.
  template <class Change>
  void change(abi::Candidates& candidates, const Change& change) const {
    if (ids_.empty()) return;
    candidates.sorted = false;
    const auto all = candidates.all();
    bool some_elsewhere = false;
    for (const int32_t id : ids_) {
      const auto place = static_cast<size_t>(id);
      if (place < all.size() && all[place].id == id)
        all[place].logit = change(all[place].logit, slots_[place].value);
      else
        some_elsewhere = true;
    }
    if (!some_elsewhere) return;
    for (size_t i = 0; i < all.size(); ++i)
      if (const Value* value = find(all[i].id); value && static_cast<size_t>(all[i].id) != i)
        all[i].logit = change(all[i].logit, *value);
  }

 private:
  struct Slot {
    uint32_t epoch = 0;  // the value is valid where this equals epoch_
    Value value{};
  };

  std::vector<Slot> slots_;   // by id
  std::vector<int32_t> ids_;  // that have a value
  uint32_t epoch_ = 1;
};

// The latest `range` ids of the history, all of them where it is 0.
inline std::span<const int32_t> latest(std::span<const int32_t> ids, size_t range) {
  return range == 0 || range >= ids.size() ? ids : ids.last(range);
}

}  // namespace ropewalk::samplers
