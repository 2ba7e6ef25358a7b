#include "backends/vulkan/program/measure.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <vector>

#include "backends/vulkan/device/timestamps.h"
#include "backends/vulkan/ops/ops.h"
#include "backends/vulkan/ops/tiling.h"
#include "backends/vulkan/program/recorder.h"
#include "core/abi/guard.h"

namespace ropewalk::vulkan {
namespace {

constexpr uint32_t kRuns = 5;

// More than any cache: a processor's, a GPU's L2 or the 128 MB in front of a card's memory.
uint64_t stream_bytes(Context& context) {
  constexpr uint64_t kMiB = uint64_t{1} << 20;
  const Features& features = context.features();
  if (features.processor) return 64 * kMiB;
  const uint64_t free =
      memory_free(context.instance(), context.physical(), features, context.options());
  return free > 8192 * kMiB ? 1024 * kMiB : 256 * kMiB;
}

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

double seconds_of(Context& context, std::span<const VkCommandBuffer> commands) {
  const auto start = std::chrono::steady_clock::now();
  context.wait_for(context.submit(commands));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The best of several runs of a dispatch, by the device's clock where it has one: a submission and
// the wait for it take as long as a GPU needs for 64 MiB.
template <class Push>
double best_seconds(Context& context, Pipelines& pipelines, const Dispatch& dispatch,
                    const Push& push) {
  std::optional<Timestamps> timestamps;
  if (context.features().timestamps.bits > 0) timestamps.emplace(context, kRuns);
  constexpr double kOneSubmission = 1e300;
  Recorder recorder(context, pipelines, kOneSubmission);
  if (timestamps) {
    recorder.reset(timestamps->pool(), timestamps->count());
    recorder.timestamp(timestamps->pool(), 0);
  }
  for (uint32_t run = 0; run < (timestamps ? kRuns : 1); ++run) {
    recorder.dispatch(dispatch, push, {}, {});
    if (timestamps) recorder.timestamp(timestamps->pool(), run + 1);
  }
  CommandBuffers commands = encode(recorder.finish(), context, pipelines, kOneSubmission);
  double best = seconds_of(context, commands.buffers);
  if (timestamps) {
    double before = 0;
    best = 1e300;
    for (const double end_us : timestamps->ends_us()) {
      best = std::min(best, (end_us - before) / 1e6);
      before = end_us;
    }
  } else {
    for (uint32_t run = 1; run < kRuns; ++run)
      best = std::min(best, seconds_of(context, commands.buffers));
  }
  free(commands, context);
  return best;
}

double stream(Context& context, Memory& memory, Pipelines& pipelines, Stream what) {
  const uint64_t bytes = stream_bytes(context);
  ScopedBlock from(memory, bytes), to(memory, bytes);
  constexpr uint32_t kGroup = 64, kVectorsPerLane = 32;
  const auto vectors = static_cast<uint32_t>(bytes / 16);
  const Constants constants{kGroup, 1, kVectorsPerLane};
  const Dispatch dispatch{kStream, constants, {vectors / (kGroup * kVectorsPerLane), 1, 1}, 0};
  const auto seconds = [&](const Block& source, const Block& target, Stream this_time) {
    return best_seconds(
        context, pipelines, dispatch,
        StreamPush{
            .from = source.address, .to = target.address, .vectors = vectors, .what = this_time});
  };
  seconds(from.block, from.block, Stream::fill);
  const double moved = static_cast<double>(bytes) * (what == Stream::copy ? 2 : 1);
  return moved / seconds(from.block, to.block, what);
}

double products(Context& context, Memory& memory, Pipelines& pipelines) {
  const RateKernel kernel = rate_kernel_of(context.features());
  const bool software = context.features().info.type == abi::DeviceType::software;
  const bool emulated = context.features().matrices == Matrices::emulated;
  const uint32_t groups = software ? 64 : 32768, rounds = emulated ? 1 : 16;
  ScopedBlock result(memory, 256);
  const struct {
    VkDeviceAddress result;
    uint32_t rounds;
  } push{.result = result.block.address, .rounds = rounds};
  const Dispatch dispatch{kernel.shader, kernel.constants, {groups, 1, 1}, 0};
  return kernel.flop * groups * rounds / best_seconds(context, pipelines, dispatch, push);
}

}  // namespace

double measure(abi::Measurement what, Context& context, Memory& memory, Pipelines& pipelines) {
  switch (what) {
    case abi::Measurement::read_bandwidth:
      return stream(context, memory, pipelines, Stream::read);
    case abi::Measurement::copy_bandwidth:
      return stream(context, memory, pipelines, Stream::copy);
    case abi::Measurement::matmul_rate:
      return products(context, memory, pipelines);
  }
  throw abi::Failure(abi::StatusCode::unsupported, "the vulkan backend does not measure this");
}

}  // namespace ropewalk::vulkan
