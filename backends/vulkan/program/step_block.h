// step_block.h — the inputs of a program's steps: memory that the host writes and the shaders read.
//
// A card reads the host's memory over its bus, some microsecond a time, and every kernel begins by
// reading the block. So there the commands begin by copying it into the card's own memory.
//
// Laid out once for the program's shape, so that recorded commands hold its address. REQUIRES: the
// last step that read the block has ended before the next is written.
#pragma once

#include "backends/vulkan/program/recorder.h"
#include "core/abi/workspace.h"

namespace ropewalk::vulkan {

class StepBlock {
 public:
  StepBlock(Memory& memory, const abi::ProgramShape& shape, const abi::RopeSizes& rope,
            const Features& features);
  ~StepBlock();
  StepBlock(const StepBlock&) = delete;
  StepBlock& operator=(const StepBlock&) = delete;

  VkDeviceAddress address() const { return copy_.buffer ? copy_.address : block_.address; }
  // The copy, where there is one. REQUIRES: it is the first that the recorder records.
  void record(Recorder& recorder) const;
  void write(const abi::Step& step);

  // Of the shaders' block Step for the ops of a RoPE table.
  static uint64_t offset_of(uint32_t table);
  static uint64_t bytes(const abi::ProgramShape& shape, const abi::RopeSizes& rope);

 private:
  struct Layout {  // offsets in bytes
    Layout(const abi::ProgramShape& shape, const abi::RopeSizes& rope);

    abi::WorkspaceCursor cursor;
    uint64_t headers;
    abi::StepArrays arrays;
    uint64_t angles;  // (R, tables, half_dim, 2) f32
  };

  void write_angles(const abi::Step& step);

  Memory& memory_;
  const abi::RopeSizes rope_;
  const Layout layout_;
  Block block_;
  Block copy_;  // in the device's memory
};

}  // namespace ropewalk::vulkan
