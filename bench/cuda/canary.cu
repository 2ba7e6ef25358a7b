// canary — measures on a Hopper GPU the constants that the design of decoding rests on, in some 15
// seconds and without the engine:
//
//   read         bandwidth by plain loads and by bulk copies, for so many bytes in flight
//   boundaries   the gap between kernels of a recording, plain and programmatic, with equal and
//                with different amounts of shared memory
//   barriers     of a whole grid within a kernel
//   latency      of a load that the next depends on
//   copies       of a step's inputs and of its logits
//
// Each measurement is a process of its own with a time limit, so that an error or a hang does not
// stop the others. NEVER RUN on a GPU yet. Exits with 4 where there is no device.
#include <cooperative_groups.h>
#include <cuda_runtime.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <vector>

namespace {

constexpr unsigned kSecondsOfMeasurement = 12;
constexpr int kNoDevice = 4;

int multiprocessors = 132;
cudaStream_t stream;

#define CHECK(call)                                                                         \
  do {                                                                                      \
    if (const cudaError_t error = (call); error != cudaSuccess) {                           \
      std::printf("  ERROR line %d, %s: %s\n", __LINE__, #call, cudaGetErrorString(error)); \
      _exit(1);                                                                             \
    }                                                                                       \
  } while (0)

// Milliseconds: the median of several runs after two warm-ups.
double median_ms(int repeats, const std::function<void()>& body) {
  cudaEvent_t begin, end;
  CHECK(cudaEventCreate(&begin));
  CHECK(cudaEventCreate(&end));
  body();
  body();
  std::vector<float> times(static_cast<size_t>(repeats));
  for (float& time : times) {
    CHECK(cudaEventRecord(begin, stream));
    body();
    CHECK(cudaGetLastError());
    CHECK(cudaEventRecord(end, stream));
    CHECK(cudaEventSynchronize(end));
    CHECK(cudaEventElapsedTime(&time, begin, end));
  }
  std::sort(times.begin(), times.end());
  return static_cast<double>(times[times.size() / 2]);
}

template <class Element>
Element* allocate(uint64_t count) {
  void* data = nullptr;
  CHECK(cudaMalloc(&data, count * sizeof(Element)));
  CHECK(cudaMemsetAsync(data, 0, count * sizeof(Element), stream));
  return static_cast<Element*>(data);
}

template <class Kernel>
void allow_shared_memory(Kernel* kernel, uint32_t bytes) {
  CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)));
}

// ---- read ----

constexpr uint32_t kThreads = 512;

// Zeros where `seed` is 0.
__global__ void fill(uint4* to, uint64_t count, uint32_t seed) {
  const uint64_t stride = uint64_t{gridDim.x} * blockDim.x;
  for (uint64_t i = blockIdx.x * uint64_t{blockDim.x} + threadIdx.x; i < count; i += stride) {
    uint32_t x = static_cast<uint32_t>(i) * seed;
    x = (x ^ x >> 15) * seed;
    to[i] = {x ^ x >> 13, x * 0x85ebca6bu, (x + 77) * seed, (x ^ x >> 7) * seed};
  }
}

template <uint32_t kAtOnce, uint32_t kResident>
__global__ void __launch_bounds__(kThreads, kResident)
    read_loads(const uint4* from, uint64_t count, uint32_t* sink) {
  const uint64_t stride = uint64_t{gridDim.x} * kThreads;
  uint32_t sum = 0;
  for (uint64_t i = blockIdx.x * uint64_t{kThreads} + threadIdx.x;
       i + (kAtOnce - 1) * stride < count; i += kAtOnce * stride) {
    uint4 words[kAtOnce];
#pragma unroll
    for (uint32_t n = 0; n < kAtOnce; ++n)
      asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                   : "=r"(words[n].x), "=r"(words[n].y), "=r"(words[n].z), "=r"(words[n].w)
                   : "l"(from + i + n * stride));
#pragma unroll
    for (uint32_t n = 0; n < kAtOnce; ++n) sum ^= words[n].x ^ words[n].y ^ words[n].z ^ words[n].w;
  }
  if (sum == 0x12345) *sink = sum;
}

__device__ __forceinline__ uint32_t shared_address(const void* at) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(at));
}
__device__ __forceinline__ void copy_bulk(void* to, const void* from, uint32_t bytes,
                                          uint64_t* barrier) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
      "r"(bytes)
      : "memory");
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, "
      "[%3];" ::"r"(shared_address(to)),
      "l"(from), "r"(bytes), "r"(shared_address(barrier))
      : "memory");
}
__device__ __forceinline__ void wait_for(uint64_t* barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred there;\n"
      "again: mbarrier.try_wait.parity.shared::cta.b64 there, [%0], %1;\n"
      "@!there bra again;\n}" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

// A thread block on each multiprocessor. Each warp keeps `stages` copies in flight and reads a word
// a lane of each.
__global__ void read_bulk(const uint8_t* from, uint64_t total, uint32_t bytes, uint32_t stages,
                          uint32_t* sink) {
  extern __shared__ __align__(128) uint8_t ring[];
  __shared__ uint64_t barriers[32][8];
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  const uint64_t pieces = total / bytes, step = uint64_t{gridDim.x} * warps;
  uint8_t* mine = ring + warp * stages * bytes;
  uint64_t piece = blockIdx.x * uint64_t{warps} + warp;
  const auto send = [&](uint32_t stage, uint64_t which) {
    if (lane == 0 && which < pieces)
      copy_bulk(mine + stage * bytes, from + which * bytes, bytes, &barriers[warp][stage]);
  };
  if (lane == 0)
    for (uint32_t s = 0; s < stages; ++s)
      asm volatile(
          "mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(&barriers[warp][s])));
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  for (uint32_t s = 0; s < stages; ++s) send(s, piece + s * step);
  __syncwarp();
  uint32_t sum = 0;
  for (uint32_t stage = 0, parity = 0; piece < pieces; piece += step) {
    wait_for(&barriers[warp][stage], parity);
    sum ^= reinterpret_cast<const volatile uint32_t*>(mine + stage * bytes)[lane];
    __syncwarp();
    send(stage, piece + stages * step);
    if (++stage == stages) {
      stage = 0;
      parity ^= 1;
    }
  }
  if (sum == 0x12345) *sink = sum;
}

void measure_read() {
  constexpr uint64_t kBytes = uint64_t{8} << 30;
  auto* buffer = allocate<uint8_t>(kBytes);
  auto* sink = allocate<uint32_t>(1);
  const auto* words = reinterpret_cast<const uint4*>(buffer);
  const auto sms = static_cast<uint32_t>(multiprocessors);
  for (const uint32_t seed : {0u, 2654435761u}) {
    fill<<<sms * 8, kThreads, 0, stream>>>(reinterpret_cast<uint4*>(buffer), kBytes / 16, seed);
    const auto print = [&](const char* what, double ms) {
      std::printf("read %s, loads, %s: %.3f TB/s\n", seed ? "random" : "zeros ", what,
                  kBytes / ms / 1e9);
    };
    print("8 at once, 2 blocks resident of 4", median_ms(7, [&] {
            read_loads<8, 2><<<sms * 4, kThreads, 0, stream>>>(words, kBytes / 16, sink);
          }));
    print("8 at once, 2 blocks", median_ms(7, [&] {
            read_loads<8, 2><<<sms * 2, kThreads, 0, stream>>>(words, kBytes / 16, sink);
          }));
    print("4 at once, 4 blocks", median_ms(7, [&] {
            read_loads<4, 4><<<sms * 4, kThreads, 0, stream>>>(words, kBytes / 16, sink);
          }));
  }
  allow_shared_memory(read_bulk, 216 << 10);
  for (const uint32_t warps : {4u, 8u})
    for (const uint32_t piece : {2368u, 4736u, 9472u})
      for (const uint32_t stages : {2u, 3u, 4u}) {
        const uint32_t shared = warps * piece * stages;
        if (shared > 216u << 10) continue;
        const double ms = median_ms(5, [&] {
          read_bulk<<<sms, warps * 32, shared, stream>>>(buffer, kBytes, piece, stages, sink);
        });
        std::printf("read random, bulk, %u warps x %u x %4u B = %3u KiB: %.3f TB/s\n", warps,
                    stages, piece, shared >> 10, kBytes / ms / 1e9);
      }
}

// ---- boundaries ----

// A link of a chain: reads what the previous one wrote.
template <bool kProgrammatic>
__global__ void link_kernel(uint32_t* values) {
  if (kProgrammatic) {
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
    asm volatile("griddepcontrol.wait;" ::: "memory");
  }
  if (threadIdx.x == 0) values[blockIdx.x] = __ldcg(values + (blockIdx.x + 1) % gridDim.x) + 1;
}
// The same with shared memory that it uses.
template <bool kProgrammatic>
__global__ void shared_link_kernel(uint32_t* values) {
  extern __shared__ uint32_t shared[];
  if (kProgrammatic) {
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
    asm volatile("griddepcontrol.wait;" ::: "memory");
  }
  shared[threadIdx.x] = __ldcg(values + (blockIdx.x + 1) % gridDim.x);
  __syncthreads();
  if (threadIdx.x == 0) values[blockIdx.x] = shared[1] + 1;
}

void launch_link(void (*kernel)(uint32_t*), bool programmatic, uint32_t shared, uint32_t* values) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<uint32_t>(multiprocessors));
  config.blockDim = dim3(128);
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = programmatic ? 1 : 0;
  CHECK(cudaLaunchKernelEx(&config, kernel, values));
}

// Null where recording fails.
cudaGraphExec_t record(const std::function<void()>& body) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t recorded = nullptr;
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  body();
  if (cudaStreamEndCapture(stream, &graph) != cudaSuccess ||
      cudaGraphInstantiate(&recorded, graph, 0) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return nullptr;
  }
  return recorded;
}

void measure_boundaries() {
  constexpr int kLinks = 320;
  constexpr uint32_t kShared = 96 << 10;
  auto* values = allocate<uint32_t>(1024);
  const auto chain = [&](const char* what, const std::function<void(int)>& link) {
    const cudaGraphExec_t recorded = record([&] {
      for (int i = 0; i < kLinks; ++i) link(i);
    });
    if (!recorded) return static_cast<void>(std::printf("boundary, %s: no recording\n", what));
    const double ms = median_ms(7, [&] { CHECK(cudaGraphLaunch(recorded, stream)); });
    std::printf("boundary, %s: %.2f us\n", what, 1e3 * ms / kLinks);
  };
  allow_shared_memory(shared_link_kernel<false>, kShared);
  allow_shared_memory(shared_link_kernel<true>, kShared);
  chain("plain", [&](int) { launch_link(link_kernel<false>, false, 0, values); });
  chain("programmatic", [&](int) { launch_link(link_kernel<true>, true, 0, values); });
  chain("plain, 96 KiB",
        [&](int) { launch_link(shared_link_kernel<false>, false, kShared, values); });
  chain("programmatic, 96 KiB, two fit a multiprocessor",
        [&](int) { launch_link(shared_link_kernel<true>, true, kShared, values); });
  const auto alternate = [&](int i) {
    if (i % 2)
      launch_link(shared_link_kernel<false>, false, kShared, values);
    else
      launch_link(link_kernel<false>, false, 0, values);
  };
  chain("0 and 96 KiB in turn, carve-outs as they come", alternate);
  for (auto* kernel : {link_kernel<false>, shared_link_kernel<false>})
    CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, 100));
  chain("0 and 96 KiB in turn, one carve-out", alternate);
}

// ---- barriers ----

__global__ void group_barriers(uint32_t* values, int count) {
  const auto grid = cooperative_groups::this_grid();
  for (int i = 0; i < count; ++i) grid.sync();
  if (threadIdx.x == 0) values[blockIdx.x] += 1;
}
// One counter: release on arriving, acquire while waiting.
__global__ void counter_barriers(uint32_t* counter, int count) {
  for (int i = 1; i <= count; ++i) {
    __syncthreads();
    if (threadIdx.x == 0) {
      asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(counter) : "memory");
      uint32_t arrived = 0;
      while (arrived < static_cast<uint32_t>(i) * gridDim.x)
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
                     : "=r"(arrived)
                     : "l"(counter)
                     : "memory");
    }
    __syncthreads();
  }
}

void measure_barriers() {
  int count = 200;
  auto* values = allocate<uint32_t>(1024);
  const dim3 grid(static_cast<uint32_t>(multiprocessors)), block(256);
  void* arguments[] = {&values, &count};
  const auto group = [&] {
    CHECK(cudaLaunchCooperativeKernel(reinterpret_cast<void*>(group_barriers), grid, block,
                                      arguments, 0, stream));
  };
  const auto counter = [&] {
    CHECK(cudaMemsetAsync(values, 0, 4, stream));
    CHECK(cudaLaunchCooperativeKernel(reinterpret_cast<void*>(counter_barriers), grid, block,
                                      arguments, 0, stream));
  };
  std::printf("grid barrier, cooperative groups: %.2f us\n", 1e3 * median_ms(7, group) / count);
  std::printf("grid barrier, a counter: %.2f us\n", 1e3 * median_ms(7, counter) / count);
  std::printf("cooperative launch in a recording: %s\n", record(counter) ? "works" : "fails");
}

// ---- latency ----

__global__ void make_chain(uint32_t* to, uint64_t count, uint64_t step) {
  const uint64_t stride = uint64_t{gridDim.x} * blockDim.x;
  for (uint64_t i = blockIdx.x * uint64_t{blockDim.x} + threadIdx.x; i < count; i += stride)
    to[i] = static_cast<uint32_t>((i + step) % count);
}
// Goes on from *at.
__global__ void chase(const uint32_t* chain, uint64_t steps, uint32_t* at, long long* clocks) {
  uint32_t here = *at;
  const long long begin = clock64();
  for (uint64_t i = 0; i < steps; ++i) here = __ldcg(chain + here);
  *clocks = clock64() - begin;
  *at = here;
}

// Lines of 128 bytes, each once. The first steps bring a small chain into the second-level cache;
// of a large one the steps that count come to lines that nobody has loaded.
void measure_latency() {
  constexpr uint64_t kSteps = 20000, kFirstSteps = 200000, kLineWords = 32;
  auto* chain = allocate<uint32_t>(uint64_t{256} << 20);
  auto* at = allocate<uint32_t>(1);
  auto* clocks = allocate<long long>(1);
  for (const uint64_t words : {uint64_t{1} << 20, uint64_t{4} << 20, uint64_t{256} << 20}) {
    make_chain<<<multiprocessors * 8, 256, 0, stream>>>(chain, words, kLineWords * (4096 + 129));
    CHECK(cudaMemsetAsync(at, 0, sizeof *at, stream));
    chase<<<1, 1, 0, stream>>>(chain, std::min(words / kLineWords, kFirstSteps), at, clocks);
    chase<<<1, 1, 0, stream>>>(chain, kSteps, at, clocks);
    CHECK(cudaGetLastError());
    CHECK(cudaStreamSynchronize(stream));
    long long taken = 0;
    CHECK(cudaMemcpy(&taken, clocks, sizeof taken, cudaMemcpyDeviceToHost));
    std::printf("latency within %llu MiB: %.0f clocks\n",
                static_cast<unsigned long long>(words >> 18), static_cast<double>(taken) / kSteps);
  }
}

// ---- copies ----

void measure_copies() {
  auto* device = allocate<uint8_t>(1 << 20);
  void* host = nullptr;
  CHECK(cudaHostAlloc(&host, 1 << 20, cudaHostAllocDefault));
  const auto measure = [&](const char* what, void* to, const void* from, size_t bytes,
                           cudaMemcpyKind kind) {
    const double ms = median_ms(21, [&] {
      CHECK(cudaMemcpyAsync(to, from, bytes, kind, stream));
      CHECK(cudaStreamSynchronize(stream));
    });
    std::printf("copy %s, %zu KiB: %.1f us\n", what, bytes >> 10, 1e3 * ms);
  };
  measure("to the device", device, host, 4 << 10, cudaMemcpyHostToDevice);
  measure("to the host", host, device, 128 << 10, cudaMemcpyDeviceToHost);
}

// ---- all ----

// As a process of its own.
template <class Body>
int run(const char* name, const Body& body) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    alarm(kSecondsOfMeasurement);
    cudaDeviceProp device;
    if (cudaGetDeviceProperties(&device, 0) != cudaSuccess) _exit(kNoDevice);
    multiprocessors = device.multiProcessorCount;
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    body(device);
    CHECK(cudaDeviceSynchronize());
    std::fflush(stdout);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  if (WIFSIGNALED(status)) std::printf("%s: ended by signal %d\n", name, WTERMSIG(status));
  return code;
}

}  // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const int first = run("device", [](const cudaDeviceProp& device) {
    std::printf("%s, sm_%d%d, %d multiprocessors, %d MiB of L2, %zu KiB of shared memory each\n",
                device.name, device.major, device.minor, device.multiProcessorCount,
                device.l2CacheSize >> 20, device.sharedMemPerMultiprocessor >> 10);
  });
  if (first == kNoDevice) {
    std::printf("canary: no CUDA device\n");
    return kNoDevice;
  }
  int failed = first;
  const auto measure = [&](const char* name, void (*body)()) {
    failed |= run(name, [&](const cudaDeviceProp&) { body(); });
  };
  measure("boundaries", measure_boundaries);
  measure("barriers", measure_barriers);
  measure("latency", measure_latency);
  measure("copies", measure_copies);
  measure("read", measure_read);
  return failed ? 1 : 0;
}
