// backend.h — the room: a backend's devices, and programs that run a graph on one.
//
// Life of a device: open, allocate and pack the weights, claim the graph, compile one program for
// each row bucket, then enqueue and wait for every step. All calls on one device come from one
// thread at a time. enqueue() reports what it knows at once; wait() is the only place where a
// device's failures surface; after device_lost every call says so and nothing hangs.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/abi/graph.h"
#include "core/abi/plugin.h"

namespace ropewalk::abi {

// A run of nodes that the device can execute as one step. Every node must be claimed alone (or in
// some fusion); a fusion is taken where the core finds it legal: consecutive nodes, and no one
// outside reads a hidden value.
struct Claim {
  std::span<const uint32_t> nodes;   // ascending, consecutive
  std::span<const uint32_t> hidden;  // tensors that the fused step never writes
  float gain_us;  // microseconds saved over running the nodes alone; 0 for one node
};

class ClaimSink {
 public:
  virtual void claim(const Claim& claim) noexcept = 0;  // copied
  // Why a node cannot run here, for the message when nothing else claims it.
  virtual void refuse(uint32_t node, std::string_view reason) noexcept = 0;

 protected:
  ~ClaimSink() = default;
};

// Why the device has no kernel for this tensor or these params; empty: it has one.
struct Refusals {
  std::string_view (*of_tensor)(const Tensor& tensor);
  std::string_view (*of_node)(const Node& node);  // null: it takes all params
};

// Offers every node alone. The core has checked the graph against core/graph/ops.md; only what this
// device has no kernel for is refused.
inline void claim_alone(const Graph& graph, ClaimSink& sink, const Refusals& refusals) {
  const auto refusal = [&](const Node& node) -> std::string_view {
    if (!is_known(node.op)) return "an op that this module does not know";
    for (const std::span<const uint32_t> ids : {node.in, node.out})
      for (const uint32_t id : ids)
        if (const std::string_view reason = refusals.of_tensor(graph.tensors[id]); !reason.empty())
          return reason;
    return refusals.of_node ? refusals.of_node(node) : "";
  };
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    const std::string_view reason = refusal(graph.nodes[i]);
    if (reason.empty())
      sink.claim({{&i, 1}, {}, 0.0f});
    else
      sink.refuse(i, reason);
  }
}

// Upper bounds that a program is compiled for.
struct ProgramShape {
  uint32_t rows;                // the row bucket
  uint32_t wanted;              // length of Step::wanted
  uint32_t sequences;           // Step::sequences
  uint32_t pages_per_sequence;  // the stride of Step::page, the same for every program
};

struct CompileRequest {
  const Graph* graph;
  std::span<const Claim> steps;  // the chosen claims in execution order; each node in exactly one
  ProgramShape shape;
  Slice workspace = {};  // in compile(): at least workspace_bytes() of this request; empty: none
};

class Program {
 public:
  // REQUIRES: a step that check_step() (core/graph/check_step.h) has passed for this shape; nothing
  // is checked again. The spans may be reused as soon as the call returns.
  virtual Status enqueue(const Step& step) noexcept = 0;
  virtual void release() noexcept = 0;

 protected:
  ~Program() = default;
};

enum class DeviceType : uint32_t { cpu = 1, integrated, discrete, virtual_gpu, software };

struct DeviceInfo {
  char name[128];
  char driver[128];   // name and version; for a cpu the instruction sets in use
  char missing[256];  // features it lacks that cost speed or function, in words; empty: none
  DeviceType type;
  uint64_t memory_total;  // bytes
  uint64_t memory_free;
  DType activation;   // of scratch tensors: f32 or f16
  uint32_t kv_types;  // bit (1 << DType) for each type the cache may have
  uint32_t max_rows;  // the widest row bucket worth compiling
  uint32_t lanes;     // threads of a cpu, subgroup or warp size of a GPU
};

enum class Arena : uint32_t { weights = 1, cache = 2, scratch = 3 };

enum class Measurement : uint32_t {
  read_bandwidth = 1,  // bytes/s of a read-only stream
  copy_bandwidth = 2,  // bytes/s, reads and writes added
  // FLOP/s of matrix products at best, in the arithmetic with which the device multiplies weights
  // of f16 and of codes: matrix cores, f16 or integers with wider sums, f32
  matmul_rate = 3
};

class Device {
 public:
  virtual const DeviceInfo& info() const noexcept = 0;

  virtual Status allocate(Arena arena, uint64_t bytes, Buffer* buffer) noexcept = 0;
  virtual void free(Buffer buffer) noexcept = 0;
  // Synchronous, bytes as they are. REQUIRES: the spans have slice.bytes bytes.
  virtual Status write(Slice to, std::span<const std::byte> from) noexcept = 0;
  virtual Status read(std::span<std::byte> to, Slice from) noexcept = 0;

  // Bytes that the whole weight will need. Only its shape is read, its spans may be empty. The
  // answer is a multiple of 256, so that slices stay aligned.
  virtual Status packed_bytes(const Weight& weight, uint64_t* bytes) noexcept = 0;
  // Host memory that weights are read into before pack(): at most `wanted` bytes, of the kind that
  // the device copies from fastest. The device may give less; a weight that does not fit then comes
  // in parts. The device owns it until close_staging().
  virtual Status open_staging(uint64_t wanted, std::span<std::byte>* memory) noexcept = 0;
  virtual void close_staging() noexcept = 0;
  // Writes the weight in the device's own layout into the slice of the whole weight. The core has
  // checked the spans and orders against core/abi/weight.h; they may be reused when the call
  // returns. The parts of a weight come one after another, in ascending order.
  virtual Status pack(const Weight& weight, Slice to) noexcept = 0;

  // REQUIRES: a graph that check_graph() has passed. Refuses in words what no kernel here can run.
  virtual Status claim(const Graph& graph, ClaimSink& sink) noexcept = 0;
  // Bytes that a step of this program needs beside the graph's slices. The core allocates them once
  // for all programs of a model. Programs run one at a time; the contents at entry are undefined.
  virtual Status workspace_bytes(const CompileRequest& request, uint64_t* bytes) noexcept = 0;
  virtual Status compile(const CompileRequest& request, Program** program) noexcept = 0;
  // Returns when everything enqueued has run.
  virtual Status wait() noexcept = 0;

  virtual Status measure(Measurement what, double* value) noexcept = 0;
  // Room for growth without a new major version; unsupported for an unknown name.
  virtual Status extension(std::string_view name, void** interface) noexcept = 0;
  virtual void release() noexcept = 0;

 protected:
  ~Device() = default;
};

class Backend {
 public:
  static constexpr ModuleKind kKind = ModuleKind::backend;

  // Devices present, usable or not. no_device with the reason where there is no driver.
  virtual Status device_count(uint32_t* count) noexcept = 0;
  // Fills what is known; the status says why a device cannot be used.
  virtual Status describe(uint32_t index, DeviceInfo* info) noexcept = 0;
  virtual Status open(uint32_t index, Device** device) noexcept = 0;
  virtual void release() noexcept = 0;

 protected:
  ~Backend() = default;
};

}  // namespace ropewalk::abi
