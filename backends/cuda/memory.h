// memory.h — the device's buffers, named by number, and the ways in and out of them.
//
// The host reaches them through a ring of pinned pieces, so that a weight's bytes are read from
// disk while those before are on their way. Everything is ordered by the context's stream. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <span>

#include "backends/cuda/context.h"
#include "core/abi/backend.h"

namespace ropewalk::cuda {

class Memory {
 public:
  static constexpr uint64_t kPieceBytes = uint64_t{32} << 20;
  static constexpr uint32_t kPieces = 4;  // 128 MiB pinned

  explicit Memory(Context& context) : context_(context) {}
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Throws Failure (out_of_memory) with what was asked and what is free.
  abi::Buffer allocate(uint64_t bytes);
  void free(abi::Buffer buffer);
  // Throws Failure (invalid_argument) where the slice is not inside its buffer.
  std::byte* address(const abi::Slice& slice) const;

  // Returns when `from` has been copied to pinned memory; errors beyond that are wait()'s.
  void write(const abi::Slice& to, std::span<const std::byte> from);
  void upload(std::byte* to, std::span<const std::byte> from);
  void read(std::span<std::byte> to, const abi::Slice& from);

  // Memory that packing reads from: valid until the next call, ordered by the stream. drop_room()
  // gives it back once the weights are there.
  std::byte* room(uint64_t bytes);
  void drop_room();

  std::byte* device_block(uint64_t bytes);
  void free_device_block(std::byte* block);

 private:
  struct Block {
    std::byte* data;
    uint64_t bytes;
  };
  struct Piece {
    std::byte* data = nullptr;
    cudaEvent_t free = nullptr;  // recorded after the copy that last used it
  };

  Piece& next_piece();

  Context& context_;
  std::map<uint64_t, Block> blocks_;
  uint64_t last_ = 0;
  Piece pieces_[kPieces];
  uint32_t next_ = 0;
  Block room_{};
};

}  // namespace ropewalk::cuda
