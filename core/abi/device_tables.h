// device_tables.h — a device's tables: its buffers by id, and its packed weights by slice.
//
// Header-only. Not thread-safe: calls on one device come from one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "core/abi/graph.h"
#include "core/abi/guard.h"

namespace ropewalk::abi {

// Memory blocks by Buffer::id. A Block is the backend's own and has a member `bytes`. Owns the
// entries, not the memory.
template <class Block>
class BufferTable {
 public:
  Buffer add(const Block& block) {
    blocks_.emplace(++last_, block);
    return {last_};
  }
  // Forgets the buffer and returns its block; empty for a buffer that is not there.
  std::optional<Block> take(Buffer buffer) {
    const auto found = blocks_.find(buffer.id);
    if (found == blocks_.end()) return std::nullopt;
    const Block block = found->second;
    blocks_.erase(found);
    return block;
  }
  // The block that holds the slice. Throws Failure (invalid_argument) where there is none or the
  // slice is not inside it.
  const Block& of(const Slice& slice) const {
    const auto found = blocks_.find(slice.buffer.id);
    if (found == blocks_.end())
      throw Failure(StatusCode::invalid_argument, "no buffer " + std::to_string(slice.buffer.id));
    const Block& block = found->second;
    if (slice.offset > block.bytes || slice.bytes > block.bytes - slice.offset)
      throw Failure(StatusCode::invalid_argument,
                    "slice " + std::to_string(slice.offset) + "+" + std::to_string(slice.bytes) +
                        " is outside its buffer of " + std::to_string(block.bytes) + " bytes");
    return block;
  }
  template <class Body>
  void for_each(const Body& body) {
    for (auto& [id, block] : blocks_) body(block);
  }

 private:
  std::map<uint64_t, Block> blocks_;
  uint64_t last_ = 0;
};

// Use, type and shape of a packed weight. require_packed() compares it with a tensor of the graph.
struct PackedAs {
  WeightUse use;
  DType dtype;
  uint32_t rows, cols;
  uint32_t bits, group_size;  // of gptq
};

// For the whole weight, also where `weight` is a part.
inline PackedAs packed_as(const Weight& weight) {
  return {weight.use,          weight.dtype, weight.rows,
          weight.whole_cols(), weight.bits,  weight.group_size};
}

// Throws Failure (invalid_argument) unless `found` matches `tensor`; null: nothing was found.
inline void require_packed(const Tensor& tensor, WeightUse use, const PackedAs* found) {
  const bool embeds = use == WeightUse::embed;
  const bool fits = found && found->use == use && found->dtype == tensor.dtype &&
                    found->rows == tensor.dim[embeds ? 1 : 0] &&
                    found->cols == tensor.dim[embeds ? 0 : 1] &&
                    (tensor.dtype != DType::gptq ||
                     (found->bits == tensor.bits && found->group_size == tensor.group_size));
  if (!fits)
    throw Failure(StatusCode::invalid_argument,
                  std::string(tensor.name) + ": no weight of this shape was packed here");
}

// The weights that pack() has written, by slice. A Layout also holds what the graph's tensor does
// not say, such as the type of the scales.
template <class Layout>
class PackedWeights {
 public:
  void add(const Slice& at, const Weight& weight, const Layout& layout) {
    weights_.insert_or_assign(key(at), Entry{packed_as(weight), layout});
  }
  void forget(Buffer buffer) {
    std::erase_if(weights_, [&](const auto& entry) { return entry.first.first == buffer.id; });
  }
  // Throws Failure (invalid_argument) where no weight of the tensor's shape was packed in its
  // slice.
  const Layout& of(const Tensor& tensor, WeightUse use) const {
    const auto found = weights_.find(key(tensor.at));
    require_packed(tensor, use, found == weights_.end() ? nullptr : &found->second.as);
    return found->second.layout;
  }

 private:
  struct Entry {
    PackedAs as;
    Layout layout;
  };
  using Key = std::pair<uint64_t, uint64_t>;  // buffer, offset
  static Key key(const Slice& at) { return {at.buffer.id, at.offset}; }

  std::map<Key, Entry> weights_;
};

}  // namespace ropewalk::abi
