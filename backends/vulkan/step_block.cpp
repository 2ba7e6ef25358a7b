#include "backends/vulkan/step_block.h"

#include <cmath>
#include <cstring>

#include "core/abi/guard.h"

namespace ropewalk::vulkan {
namespace {

// The head of the shaders' block Step (common.glsl); addresses follow in the order of the arrays.
struct Header {
  uint32_t rows, wanted_rows, pages_per_sequence, half_dim;
  VkDeviceAddress token, position, sequence, wanted, page, inv_freq, angles;
};

template <class Element>
void copy(std::byte* to, std::span<const Element> from, uint64_t count) {
  std::memcpy(to, from.data(), count * sizeof(Element));
}

}  // namespace

StepBlock::Layout::Layout(const abi::ProgramShape& shape, uint32_t half_dim) {
  end = sizeof(Header);
  const auto place = [&](uint64_t elements) {
    const uint64_t at = end;
    end += (elements * 4 + 15) / 16 * 16;
    return at;
  };
  token = place(shape.rows);
  position = place(shape.rows);
  sequence = place(shape.rows);
  wanted = place(shape.wanted);
  page = place(uint64_t{shape.sequences} * shape.pages_per_sequence);
  inv_freq = place(uint64_t{shape.sequences} * half_dim);
  angles = place(uint64_t{shape.rows} * half_dim * 2);
}

uint64_t StepBlock::bytes(const abi::ProgramShape& shape, uint32_t half_dim) {
  return Layout(shape, half_dim).end;
}

StepBlock::StepBlock(Memory& memory, const abi::ProgramShape& shape, uint32_t half_dim)
    : memory_(memory),
      shape_(shape),
      half_dim_(half_dim),
      layout_(shape, half_dim),
      block_(memory.make_block(layout_.end, Reach::host)) {}

void StepBlock::check(const abi::Step& step) const {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw abi::Failure(abi::StatusCode::invalid_argument, what);
  };
  require(step.rows <= shape_.rows && step.wanted.size() <= shape_.wanted &&
              step.sequences <= shape_.sequences,
          "the step is larger than the program was compiled for");
  require(step.token.size() >= step.rows && step.position.size() >= step.rows &&
              step.sequence.size() >= step.rows,
          "the step has fewer tokens, positions or sequences than rows");
  require(step.page.size() >= uint64_t{step.sequences} * shape_.pages_per_sequence,
          "the step's page table is shorter than its sequences");
  require(step.inv_freq.size() >= uint64_t{step.sequences} * half_dim_,
          "the step's RoPE tables are shorter than its sequences");
}

void StepBlock::write(const abi::Step& step) {
  check(step);
  const VkDeviceAddress at = block_.address;
  const Header header{step.rows,
                      static_cast<uint32_t>(step.wanted.size()),
                      shape_.pages_per_sequence,
                      half_dim_,
                      at + layout_.token,
                      at + layout_.position,
                      at + layout_.sequence,
                      at + layout_.wanted,
                      at + layout_.page,
                      at + layout_.inv_freq,
                      at + layout_.angles};
  std::memcpy(block_.mapped, &header, sizeof header);
  copy(block_.mapped + layout_.token, step.token, step.rows);
  copy(block_.mapped + layout_.position, step.position, step.rows);
  copy(block_.mapped + layout_.sequence, step.sequence, step.rows);
  copy(block_.mapped + layout_.wanted, step.wanted, step.wanted.size());
  copy(block_.mapped + layout_.page, step.page,
       uint64_t{step.sequences} * shape_.pages_per_sequence);
  copy(block_.mapped + layout_.inv_freq, step.inv_freq, uint64_t{step.sequences} * half_dim_);
  if (half_dim_) write_angles(step);
}

// On the host, since what the standard demands of a device's sine and cosine is less than a
// position of some thousand needs; and once for all layers.
void StepBlock::write_angles(const abi::Step& step) {
  auto* to = reinterpret_cast<float*>(block_.mapped + layout_.angles);
  for (uint32_t r = 0; r < step.rows; ++r) {
    const float position = static_cast<float>(step.position[r]);
    const float* inv_freq = step.inv_freq.data() + uint64_t{step.sequence[r]} * half_dim_;
    for (uint32_t i = 0; i < half_dim_; ++i) {
      const float angle = position * inv_freq[i];
      *to++ = std::cos(angle);
      *to++ = std::sin(angle);
    }
  }
}

}  // namespace ropewalk::vulkan
