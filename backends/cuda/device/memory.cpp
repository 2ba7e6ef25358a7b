#include "backends/cuda/device/memory.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>

#include "core/abi/guard.h"

namespace ropewalk::cuda {

using abi::Failure;
using abi::StatusCode;

// A lost device may still use its memory, so that is never freed.
Memory::~Memory() {
  if (!abi::guard([&] {
         context_.enter();
         context_.wait();
       }).ok())
    return;
  blocks_.for_each([](const Block& block) { static_cast<void>(cudaFree(block.data)); });
  static_cast<void>(cudaFree(packing_scratch_.data));
  for (const Piece& piece : pieces_) {
    static_cast<void>(cudaFreeHost(piece.data));
    if (piece.free) static_cast<void>(cudaEventDestroy(piece.free));
  }
  static_cast<void>(cudaFreeHost(staging_.data()));
  if (staged_) static_cast<void>(cudaEventDestroy(staged_));
}

std::byte* Memory::device_block(uint64_t bytes) {
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, std::max<uint64_t>(bytes, 256));
  if (error == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    size_t free = 0, total = 0;
    context_.check(cudaMemGetInfo(&free, &total), "free memory");
    throw Failure(StatusCode::out_of_memory, "out of device memory: " + std::to_string(bytes) +
                                                 " bytes asked, " + std::to_string(free) + " free");
  }
  context_.check(error, "device memory");
  return static_cast<std::byte*>(data);
}

void Memory::free_device_block(std::byte* block) { context_.check(cudaFree(block), "cudaFree"); }

abi::Buffer Memory::allocate(uint64_t bytes) { return blocks_.add({device_block(bytes), bytes}); }

void Memory::free(abi::Buffer buffer) {
  const auto block = blocks_.take(buffer);
  if (!block) return;
  context_.wait();
  free_device_block(block->data);
}

std::byte* Memory::address(const abi::Slice& slice) const {
  return blocks_.of(slice).data + slice.offset;
}

Memory::Piece& Memory::next_piece() {
  Piece& piece = pieces_[next_];
  next_ = (next_ + 1) % kPieces;
  if (!piece.data) {
    void* data = nullptr;
    context_.check(cudaHostAlloc(&data, kPieceBytes, cudaHostAllocDefault), "pinned memory");
    piece.data = static_cast<std::byte*>(data);
    context_.check(cudaEventCreateWithFlags(&piece.free, cudaEventDisableTiming), "an event");
  } else {
    context_.check(cudaEventSynchronize(piece.free), "a copy");
  }
  return piece;
}

std::span<std::byte> Memory::open_staging(uint64_t wanted) {
  close_staging();
  if (!staged_)
    context_.check(cudaEventCreateWithFlags(&staged_, cudaEventDisableTiming), "an event");
  const uint64_t bytes = std::clamp<uint64_t>(wanted, 256, kStagingBytes);
  void* data = nullptr;
  context_.check(cudaHostAlloc(&data, bytes, cudaHostAllocDefault), "pinned memory");
  staging_ = {static_cast<std::byte*>(data), bytes};
  return staging_;
}

void Memory::close_staging() {
  if (staging_.empty()) return;
  wait_for_staging();
  context_.check(cudaFreeHost(staging_.data()), "pinned memory");
  staging_ = {};
}

bool Memory::is_staged(std::span<const std::byte> from) const {
  const std::less_equal<const std::byte*> not_after;
  return !staging_.empty() && not_after(staging_.data(), from.data()) &&
         not_after(from.data() + from.size(), staging_.data() + staging_.size());
}

void Memory::wait_for_staging() {
  if (staged_) context_.check(cudaEventSynchronize(staged_), "a copy");
}

void Memory::upload(std::byte* to, std::span<const std::byte> from) {
  if (is_staged(from)) {
    context_.check(
        cudaMemcpyAsync(to, from.data(), from.size(), cudaMemcpyHostToDevice, context_.stream()),
        "a copy to the device");
    return context_.check(cudaEventRecord(staged_, context_.stream()), "an event");
  }
  for (uint64_t done = 0; done < from.size(); done += kPieceBytes) {
    const uint64_t count = std::min<uint64_t>(kPieceBytes, from.size() - done);
    Piece& piece = next_piece();
    std::memcpy(piece.data, from.data() + done, count);
    context_.check(
        cudaMemcpyAsync(to + done, piece.data, count, cudaMemcpyHostToDevice, context_.stream()),
        "a copy to the device");
    context_.check(cudaEventRecord(piece.free, context_.stream()), "an event");
  }
}

void Memory::write(const abi::Slice& to, std::span<const std::byte> from) {
  upload(address(to), from.first(to.bytes));
}

void Memory::read(std::span<std::byte> to, const abi::Slice& from) {
  const std::byte* data = address(from);
  for (uint64_t done = 0; done < from.bytes; done += kPieceBytes) {
    const uint64_t count = std::min<uint64_t>(kPieceBytes, from.bytes - done);
    Piece& piece = next_piece();
    context_.check(
        cudaMemcpyAsync(piece.data, data + done, count, cudaMemcpyDeviceToHost, context_.stream()),
        "a copy from the device");
    context_.check(cudaEventRecord(piece.free, context_.stream()), "an event");
    context_.wait();
    std::memcpy(to.data() + done, piece.data, count);
  }
}

std::byte* Memory::room(uint64_t bytes) {
  if (bytes > packing_scratch_.bytes) {
    drop_packing_scratch();
    packing_scratch_.data = device_block(bytes);
    packing_scratch_.bytes = bytes;
  }
  return packing_scratch_.data;
}

void Memory::drop_packing_scratch() {
  if (!packing_scratch_.data) return;
  context_.wait();
  free_device_block(packing_scratch_.data);
  packing_scratch_ = {};
}

}  // namespace ropewalk::cuda
