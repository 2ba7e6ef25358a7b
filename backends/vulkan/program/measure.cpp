#include "backends/vulkan/program/measure.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "backends/vulkan/program/recorder.h"
#include "core/abi/guard.h"

namespace ropewalk::vulkan {
namespace {

constexpr int kRuns = 5;
constexpr uint64_t kBytes = uint64_t{64} << 20;  // more than a processor's caches or a GPU's L2

// Frees its block.
struct ScopedBlock {
  ScopedBlock(Memory& owner, uint64_t bytes)
      : memory(owner), block(owner.make_block(bytes, Reach::device)) {}
  ~ScopedBlock() { memory.destroy(block); }
  ScopedBlock(const ScopedBlock&) = delete;
  ScopedBlock& operator=(const ScopedBlock&) = delete;

  Memory& memory;
  Block block;
};

double seconds_of(Context& context, VkCommandBuffer commands) {
  const auto start = std::chrono::steady_clock::now();
  context.wait_for(context.submit(commands));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double best_seconds(Context& context, const std::vector<VkCommandBuffer>& commands) {
  double best = seconds_of(context, commands[0]);
  for (int run = 1; run < kRuns; ++run) best = std::min(best, seconds_of(context, commands[0]));
  context.api().FreeCommandBuffers(context.device(), context.commands(), 1, commands.data());
  return best;
}

struct StreamPush {
  VkDeviceAddress from, to;
  uint32_t vectors, copies;
};

double stream(Context& context, Memory& memory, Pipelines& pipelines, bool copies) {
  ScopedBlock from(memory, kBytes), to(memory, kBytes);
  constexpr uint32_t kGroup = 64, kVectorsPerLane = 16;
  const auto vectors = static_cast<uint32_t>(kBytes / 16);
  Recorder recorder(context, pipelines);
  recorder.dispatch(
      {kStream, {kGroup, 1, kVectorsPerLane}, {vectors / (kGroup * kVectorsPerLane), 1, 1}, 0},
      StreamPush{
          .from = from.block.address, .to = to.block.address, .vectors = vectors, .copies = copies},
      {}, {});
  return static_cast<double>(kBytes) * (copies ? 2 : 1) / best_seconds(context, recorder.finish());
}

// In f32, the arithmetic of this backend's matrix products.
double products(Context& context, Memory& memory, Pipelines& pipelines) {
  constexpr uint32_t kGroup = 64, kChains = 16, kUnrolled = 16, rounds = 16;
  const uint32_t groups = context.features().processor ? 64 : 32768;
  ScopedBlock result(memory, 256);
  const struct {
    VkDeviceAddress result;
    uint32_t rounds;
  } push{.result = result.block.address, .rounds = rounds};
  Recorder recorder(context, pipelines);
  recorder.dispatch({kProducts, {kGroup, 1}, {groups, 1, 1}, 0}, push, {}, {});
  const double flop = 2.0 * kGroup * groups * kChains * kUnrolled * rounds;
  return flop / best_seconds(context, recorder.finish());
}

}  // namespace

double measure(abi::Measurement what, Context& context, Memory& memory, Pipelines& pipelines) {
  switch (what) {
    case abi::Measurement::read_bandwidth:
      return stream(context, memory, pipelines, false);
    case abi::Measurement::copy_bandwidth:
      return stream(context, memory, pipelines, true);
    case abi::Measurement::f16_matmul_rate:
      return products(context, memory, pipelines);
  }
  throw abi::Failure(abi::StatusCode::unsupported, "the vulkan backend does not measure this");
}

}  // namespace ropewalk::vulkan
