// memory.h — the device's buffers, named by number, and copies to and from them.
//
// Copies go through pinned memory of the host, 160 MiB in all: weights through the staging memory
// that they are read into from disk, everything else through a ring of small pieces. The context's
// stream orders all of it. Not thread-safe.
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

  // Throws Failure (out_of_memory) that says how much was asked and how much is free.
  abi::Buffer allocate(uint64_t bytes);
  void free(abi::Buffer buffer);
  // Throws Failure (invalid_argument) where the slice is not inside its buffer.
  std::byte* address(const abi::Slice& slice) const;

  // Pinned memory of at most kStagingBytes, valid until it is closed.
  std::span<std::byte> open_staging(uint64_t wanted);
  void close_staging();

  // Returns when `from` has been copied to pinned memory; wait() reports later errors.
  void write(const abi::Slice& to, std::span<const std::byte> from);
  // As write(), but a span of the staging memory may be reused only after wait_for_staging().
  void upload(std::byte* to, std::span<const std::byte> from);
  void wait_for_staging();
  void read(std::span<std::byte> to, const abi::Slice& from);

  // Device memory that packing reads from: valid until the next call, ordered by the stream.
  // drop_packing_scratch() frees it once all weights are packed.
  std::byte* room(uint64_t bytes);
  void drop_packing_scratch();

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
  Block packing_scratch_{};
};

}  // namespace ropewalk::cuda
