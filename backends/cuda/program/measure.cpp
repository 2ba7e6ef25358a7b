#include "backends/cuda/program/measure.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "backends/cuda/device/cublas.h"
#include "backends/cuda/device/event.h"
#include "backends/cuda/program/stream.h"
#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

constexpr int kWarmUps = 3, kRepeats = 11;
constexpr uint64_t kMaxBytes = uint64_t{2} << 30;  // many times any second-level cache
constexpr uint32_t kProductSize = 8192;

// Device memory that lives as long as a measurement.
class DeviceScratch {
 public:
  DeviceScratch(Memory& memory, uint64_t bytes)
      : memory_(memory), data_(memory.device_block(bytes)) {}
  ~DeviceScratch() {
    static_cast<void>(abi::guard([&] { memory_.free_device_block(data_); }));
  }
  DeviceScratch(const DeviceScratch&) = delete;
  DeviceScratch& operator=(const DeviceScratch&) = delete;
  std::byte* data() const { return data_; }

 private:
  Memory& memory_;
  std::byte* data_;
};

double median_seconds(Context& context, const std::function<void()>& body) {
  for (int i = 0; i < kWarmUps; ++i) body();
  Event begin(context), end(context);
  std::vector<double> times;
  for (int i = 0; i < kRepeats; ++i) {
    begin.record();
    body();
    end.record();
    context.wait();
    times.push_back(end.seconds_since(begin));
  }
  std::nth_element(times.begin(), times.begin() + kRepeats / 2, times.end());
  return times[kRepeats / 2];
}

// Bytes that a kernel reads or copies. Free memory must hold them twice, beside a loaded model.
uint64_t stream_bytes(Context& context) {
  size_t free = 0, total = 0;
  context.check(cudaMemGetInfo(&free, &total), "free memory");
  return std::min<uint64_t>(kMaxBytes, free / 4) / 4096 * 4096;
}

StreamDevice stream_device(const Context& context) {
  return {context.multiprocessors(), context.copies_in_bulk()};
}

void fill_scratch(const DeviceScratch& room, uint64_t bytes, Context& context) {
  fill_random(room.data(), bytes, 1, stream_device(context), context.stream());
  context.check_launches("a fill");
}

double read_bandwidth(Context& context, Memory& memory) {
  const uint64_t bytes = stream_bytes(context);
  const DeviceScratch from(memory, bytes), sink(memory, 4);
  fill_scratch(from, bytes, context);
  double best = std::numeric_limits<double>::infinity();
  for (const ReadStream& read : read_streams(stream_device(context)))
    best = std::min(best, median_seconds(context, [&] {
                      read(from.data(), bytes, reinterpret_cast<uint32_t*>(sink.data()),
                           context.stream());
                      context.check_launches("reading");
                    }));
  return static_cast<double>(bytes) / best;
}

double copy_bandwidth(Context& context, Memory& memory) {
  const uint64_t bytes = stream_bytes(context);
  const DeviceScratch from(memory, bytes), to(memory, bytes);
  fill_scratch(from, bytes, context);
  double best = std::numeric_limits<double>::infinity();
  for (const CopyStream& copy : copy_streams(stream_device(context)))
    best = std::min(best, median_seconds(context, [&] {
                      copy(from.data(), to.data(), bytes, context.stream());
                      context.check_launches("copying");
                    }));
  return 2.0 * static_cast<double>(bytes) / best;
}

double matmul_rate(Context& context, Memory& memory) {
  constexpr uint64_t kCount = uint64_t{kProductSize} * kProductSize;
  const DeviceScratch x(memory, kCount * 2), w(memory, kCount * 2), y(memory, kCount * 4),
      workspace(memory, Cublas::kWorkspaceBytes);
  fill_scratch(x, kCount * 2, context);
  fill_scratch(w, kCount * 2, context);
  Cublas cublas(context);
  const double seconds = median_seconds(context, [&] {
    cublas.multiply({x.data(), w.data(), y.data(), abi::DType::f16, abi::DType::f32, kProductSize,
                     kProductSize, kProductSize, kProductSize, kProductSize, kProductSize},
                    workspace.data(), context.stream());
  });
  return 2.0 * static_cast<double>(kCount) * kProductSize / seconds;
}

}  // namespace

void fill_random(std::byte* to, uint64_t bytes, uint32_t seed, Context& context) {
  fill_random(to, bytes, seed, stream_device(context), context.stream());
  context.check_launches("a fill");
  context.wait();
}

double measure(abi::Measurement what, Context& context, Memory& memory) {
  switch (what) {
    case abi::Measurement::read_bandwidth:
      return read_bandwidth(context, memory);
    case abi::Measurement::copy_bandwidth:
      return copy_bandwidth(context, memory);
    case abi::Measurement::matmul_rate:
      return matmul_rate(context, memory);
  }
  throw abi::Failure(abi::StatusCode::unsupported, "this measurement is not known");
}

}  // namespace ropewalk::cuda
