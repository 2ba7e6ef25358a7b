// memory.h — the device's buffers, named by number, and the ways in and out of them.
//
// The host reaches them through pinned memory: weights through the staging memory that they are
// read into from disk, all else through a ring of small pieces, 160 MiB together. Everything is
// ordered by the context's stream. Not thread-safe.
#pragma once

#include <cstddef>
#include <span>

#include "backends/cuda/device/context.h"
#include "core/abi/backend.h"
#include "core/abi/device_tables.h"

namespace ropewalk::cuda {

class Memory {
 public:
  static constexpr uint64_t kStagingBytes = uint64_t{128} << 20;
  static constexpr uint64_t kPieceBytes = uint64_t{8} << 20;
  static constexpr uint32_t kPieces = 4;

  explicit Memory(Context& context) : context_(context) {}
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Throws Failure (out_of_memory) with what was asked and what is free.
  abi::Buffer allocate(uint64_t bytes);
  void free(abi::Buffer buffer);
  // Throws Failure (invalid_argument) where the slice is not inside its buffer.
  std::byte* address(const abi::Slice& slice) const;

  // Pinned memory, at most kStagingBytes, until it is closed.
  std::span<std::byte> open_staging(uint64_t wanted);
  void close_staging();

  // Returns when `from` has been copied to pinned memory; errors beyond that are wait()'s.
  void write(const abi::Slice& to, std::span<const std::byte> from);
  // As write(), but what lies in the staging memory may be reused only after wait_for_staging().
  void upload(std::byte* to, std::span<const std::byte> from);
  void wait_for_staging();
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
  bool is_staged(std::span<const std::byte> from) const;

  Context& context_;
  abi::BufferTable<Block> blocks_;
  Piece pieces_[kPieces];
  std::span<std::byte> staging_;
  cudaEvent_t staged_ = nullptr;  // recorded after the last copy from it
  uint32_t next_ = 0;
  Block room_{};
};

}  // namespace ropewalk::cuda
