#include "backends/vulkan/program/step_block.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ropewalk::vulkan {
namespace {

// The shaders' block Step (common.glsl): sizes, then the addresses of the arrays behind it.
struct alignas(16) StepHeader {
  uint32_t rows, prompt_rows, wanted_rows, pages_per_sequence, rope_pairs;
  VkDeviceAddress token, position, sequence, wanted, page, inv_freq, adapter, angles;
};

}  // namespace

StepBlock::Layout::Layout(const abi::ProgramShape& shape, const abi::RopeSizes& rope)
    : cursor(16),
      headers(cursor.place(std::max(rope.tables, 1u) * sizeof(StepHeader))),
      arrays(cursor, shape, rope.pairs()),
      angles(cursor.place(uint64_t{shape.rows} * rope.pairs() * 2 * sizeof(float))) {}

uint64_t StepBlock::offset_of(uint32_t table) { return table * sizeof(StepHeader); }

uint64_t StepBlock::bytes(const abi::ProgramShape& shape, const abi::RopeSizes& rope) {
  return Layout(shape, rope).cursor.end();
}

StepBlock::StepBlock(Memory& memory, const abi::ProgramShape& shape, const abi::RopeSizes& rope,
                     const Features& features)
    : memory_(memory),
      rope_(rope),
      layout_(shape, rope),
      block_(memory.make_block(layout_.cursor.end(), Reach::host)) {
  if (features.processor || features.info.type == abi::DeviceType::integrated) return;
  try {
    copy_ = memory.make_block(layout_.cursor.end(), Reach::device);
  } catch (...) {
    memory_.destroy(block_);
    throw;
  }
}

StepBlock::~StepBlock() {
  memory_.destroy(copy_);
  memory_.destroy(block_);
}

void StepBlock::record(Recorder& recorder) const {
  if (copy_.buffer) recorder.upload(block_, copy_);
}

void StepBlock::write(const abi::Step& step) {
  const VkDeviceAddress at = address();
  const abi::StepArrays& arrays = layout_.arrays;
  StepHeader header{.rows = step.rows,
                    .prompt_rows = step.prompt_rows,
                    .wanted_rows = static_cast<uint32_t>(step.wanted.size()),
                    .pages_per_sequence = arrays.pages_per_sequence,
                    .rope_pairs = arrays.rope_pairs,
                    .token = at + arrays.token,
                    .position = at + arrays.position,
                    .sequence = at + arrays.sequence,
                    .wanted = at + arrays.wanted,
                    .page = at + arrays.page,
                    .inv_freq = at + arrays.inv_freq,
                    .adapter = at + arrays.adapter,
                    .angles = at + layout_.angles};
  for (uint32_t table = 0; table < std::max(rope_.tables, 1u); ++table) {
    std::memcpy(block_.mapped + layout_.headers + offset_of(table), &header, sizeof header);
    header.inv_freq += rope_.half_dim * sizeof(float);
    header.angles += rope_.half_dim * 2 * sizeof(float);
  }
  arrays.fill(block_.mapped, step);
  if (arrays.rope_pairs) write_angles(step);
}

// On the host: the precision that Vulkan demands of a shader's sine and cosine is too low for
// positions of some thousand. And once for all layers.
void StepBlock::write_angles(const abi::Step& step) {
  const uint32_t pairs = layout_.arrays.rope_pairs;
  auto* to = reinterpret_cast<float*>(block_.mapped + layout_.angles);
  for (uint32_t r = 0; r < step.rows; ++r) {
    const float position = static_cast<float>(step.position[r]);
    const float* inv_freq = step.inv_freq.data() + uint64_t{step.sequence[r]} * pairs;
    for (uint32_t i = 0; i < pairs; ++i) {
      const float angle = position * inv_freq[i];
      *to++ = std::cos(angle);
      *to++ = std::sin(angle);
    }
  }
}

}  // namespace ropewalk::vulkan
