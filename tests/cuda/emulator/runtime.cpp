// runtime.cpp — what the backend's host code uses of CUDA's runtime, on a CPU.
//
// Streams are those of streams.h. What a recording forbids fails as on a device: allocating,
// waiting, asking. Fresh device memory is all ones, NaN in every float type.
// EMULATOR_FAULT names what goes wrong: "lost-after=N" and "hang-after=N" count graph launches,
// "oom-after=N" bytes of device memory; with "oom=1" none is left, nor pinned memory, and with
// "oom-recording=1" none for recordings. EMULATOR_MEMORY is the device's memory in bytes, 1 GiB
// where it is not set. Each launch leaves a mark for profilers, as it would in a profile.
#include <cuda_runtime_api.h>
#include <nvtx3/nvToolsExt.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "backends/cuda/device/driver.h"
#include "tests/cuda/emulator/block.h"
#include "tests/cuda/emulator/overlap.h"
#include "tests/cuda/emulator/streams.h"
#include "tests/cuda/emulator/words.h"

using ropewalk::emulator::append;
using ropewalk::emulator::flush;

namespace {

struct Machine {
  cudaError_t last = cudaSuccess;  // for cudaGetLastError()
  cudaError_t sticky = cudaSuccess;
  uint64_t graph_launches = 0, bytes = 0, streams = 0, events = 0;
  uint32_t recordings = 0;  // under way
  std::map<void*, size_t> device_memory;
};

Machine& machine() {
  static Machine only;
  return only;
}

cudaError_t answer(cudaError_t error) {
  if (error != cudaSuccess) machine().last = error;
  return error;
}

// The number that EMULATOR_FAULT gives the fault, 0 where it names another or none.
uint64_t fault(const std::string& name) {
  const char* text = std::getenv("EMULATOR_FAULT");
  if (!text || std::strncmp(text, (name + "=").c_str(), name.size() + 1) != 0) return 0;
  return std::strtoull(text + name.size() + 1, nullptr, 10);
}

size_t total_memory() {
  const char* bytes = std::getenv("EMULATOR_MEMORY");
  return bytes ? std::strtoull(bytes, nullptr, 10) : size_t{1} << 30;
}

// EMULATOR_CAPABILITY, without the dot; and what such a device has of shared memory for a block.
int capability() {
  const char* text = std::getenv("EMULATOR_CAPABILITY");
  return text ? std::atoi(text) : 90;
}
uint32_t shared_bytes() {
  const int kibibytes = capability() >= 90   ? 227
                        : capability() == 80 ? 163
                        : capability() > 80  ? 99
                                             : 64;
  return static_cast<uint32_t>(kibibytes) << 10;
}

// What a thread may not do while it records.
bool forbidden() { return machine().recordings > 0; }

cudaError_t enqueue(cudaStream_t stream, std::function<void()> work) {
  if (machine().sticky != cudaSuccess) return answer(machine().sticky);
  append({stream, std::move(work)});
  return cudaSuccess;
}

// What is no kernel: it waits for all in front of it.
cudaError_t enqueue_serial(cudaStream_t stream, const std::function<void()>& work) {
  return enqueue(stream, [work, number = stream->number] {
    ropewalk::emulator::end_overlap(number);
    work();
  });
}

}  // namespace

namespace ropewalk::cuda {

std::string missing_driver() { return ""; }

}  // namespace ropewalk::cuda

namespace ropewalk::emulator {

void launch(const Shape& shape, cudaStream_t stream, std::function<void()> body) {
  const dim3& grid = shape.grid;
  if (!grid.x || !grid.y || !grid.z || grid.y > 65535 || grid.z > 65535 || shape.threads > 1024)
    answer(cudaErrorInvalidConfiguration);
  else if (shape.shared_bytes > shared_bytes())
    answer(cudaErrorInvalidValue);
  else if (shape.early && capability() < 90)
    answer(cudaErrorNotSupported);
  else {
    nvtxMarkA("launch");
    enqueue(stream, [=, number = stream->number] {
      begin_kernel(machine().device_memory, number, shape.early);
      run_grid(shape, body);
      end_kernel();
    });
  }
}

}  // namespace ropewalk::emulator

bool ropewalk::emulator::is_device_memory(const void* from, uint64_t bytes) {
  const auto* begin = static_cast<const std::byte*>(from);
  return std::ranges::any_of(machine().device_memory, [&](const auto& allocation) {
    const auto* first = static_cast<const std::byte*>(allocation.first);
    return first <= begin && begin + bytes <= first + allocation.second;
  });
}

extern "C" {

cudaError_t cudaGetLastError() {
  const cudaError_t last = machine().last;
  machine().last = cudaSuccess;
  return last;
}
const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorIllegalAddress ? "cudaErrorIllegalAddress" : "an error of the emulator";
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorIllegalAddress ? "an illegal memory access was encountered"
                                          : "something failed";
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "emulated GPU");
  properties->major = capability() / 10;
  properties->minor = capability() % 10;
  properties->warpSize = 32;
  properties->totalGlobalMem = total_memory();
  return cudaSuccess;
}
// A second-level cache of a few tiles of small weights, so that they are multiplied in slices.
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int) {
  switch (which) {
    case cudaDevAttrMultiProcessorCount:
      *value = 3;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = 48 << 10;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = capability() / 10;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = capability() % 10;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(shared_bytes());
      return cudaSuccess;
    default:
      return answer(cudaErrorInvalidValue);
  }
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes*, const void*) { return cudaSuccess; }
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = total_memory();
  *free = *total - machine().bytes;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** data, size_t bytes) {
  if (forbidden()) return answer(cudaErrorStreamCaptureUnsupported);
  const uint64_t limit = fault("oom-after");
  if (fault("oom") || (limit && machine().bytes + bytes > limit) ||
      machine().bytes + bytes > total_memory())
    return answer(cudaErrorMemoryAllocation);
  *data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(*data, 0xff, bytes);
  ropewalk::emulator::note_change();
  machine().device_memory[*data] = bytes;
  machine().bytes += bytes;
  return cudaSuccess;
}
cudaError_t cudaFree(void* data) {
  if (forbidden()) return answer(cudaErrorStreamCaptureUnsupported);
  if (!data) return cudaSuccess;
  flush();
  const auto found = machine().device_memory.find(data);
  if (found == machine().device_memory.end()) return answer(cudaErrorInvalidValue);
  machine().bytes -= found->second;
  ropewalk::emulator::note_change();
  machine().device_memory.erase(found);
  std::free(data);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  if (forbidden()) return answer(cudaErrorStreamCaptureUnsupported);
  if (fault("oom")) return answer(cudaErrorMemoryAllocation);
  *data = std::malloc(bytes);
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* data) {
  std::free(data);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  return enqueue_serial(stream, [=] { std::memcpy(to, from, bytes); });
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  return enqueue_serial(stream, [=] { std::memset(to, value, bytes); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st{++machine().streams};
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  flush();
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (stream->recording) return answer(cudaErrorStreamCaptureUnsupported);
  const uint64_t hang = fault("hang-after");
  if (hang && machine().graph_launches >= hang) return answer(cudaErrorNotReady);
  flush();
  return answer(machine().sticky);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (!event->stream && stream->recording) return answer(cudaErrorStreamCaptureIsolation);
  if (event->stream && !event->stream->recording) return answer(cudaErrorCapturedEvent);
  if (!event->stream) {
    append({stream, nullptr, 0, event->number});
    return cudaSuccess;
  }
  if (!stream->recording) {
    stream->recording = event->stream->recording;
    stream->recording->streams.push_back(stream);
    stream->recorded = stream->joined = 0;
  } else if (stream->began) {
    event->stream->joined = std::max(event->stream->joined, event->recorded);
  }
  append({stream, nullptr, 0, event->number});
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->stream = stream->recording ? stream : nullptr;
  event->recorded = stream->recorded;
  event->number = ++machine().events;
  append(
      {stream, [time = event->time] { *time = std::chrono::steady_clock::now(); }, event->number});
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->stream || forbidden()) return answer(cudaErrorStreamCaptureUnsupported);
  flush();
  return answer(machine().sticky);
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(*end->time - *begin->time).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  stream->recording = new CUgraph_st;
  stream->recording->streams.push_back(stream);
  stream->began = true;
  stream->recorded = 0;
  ++machine().recordings;
  return cudaSuccess;
}
// What another stream brought has to be waited for by the one that began.
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream->recording || !stream->began) return answer(cudaErrorStreamCaptureUnmatched);
  CUgraph_st* recording = stream->recording;
  bool joined = true;
  for (CUstream_st* each : recording->streams) {
    joined = joined && (each->began || each->recorded == each->joined);
    each->recording = nullptr;
    each->began = false;
  }
  --machine().recordings;
  if (joined) {
    *graph = recording;
    return cudaSuccess;
  }
  delete recording;
  *graph = nullptr;
  return answer(cudaErrorStreamCaptureUnjoined);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  if (fault("oom-recording")) return answer(cudaErrorMemoryAllocation);
  *exec = new CUgraphExec_st{graph->commands};
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  flush();
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const uint64_t lost = fault("lost-after");
  if (lost && machine().graph_launches >= lost) machine().sticky = cudaErrorIllegalAddress;
  ++machine().graph_launches;
  return enqueue_serial(stream, [exec] { ropewalk::emulator::run(exec->commands); });
}
}  // extern "C"
