#include "backends/cuda/program.h"

#include <algorithm>

#include "backends/cuda/trace.h"
#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

using abi::Op;

// Half the head dimension of what the graph rotates; the claim has seen that all agree with the
// cache.
uint32_t half_dim_of(const abi::Graph& graph) {
  uint32_t half = 0;
  for (const abi::Node& node : graph.nodes) {
    if (node.op == Op::rope) half = std::max(half, graph.tensors[node.in[0]].dim[2] / 2);
    if (node.op == Op::attention && node.keys == abi::KeyRotation::on_read)
      half = std::max(half, graph.tensors[node.in[1]].dim[3] / 2);
  }
  return half;
}

LongProducts long_products(const Context& context) {
  if (!Cublas::missing().empty()) return LongProducts::packed;
  return context.has_bf16() ? LongProducts::cublas : LongProducts::cublas_without_bf16;
}

DeviceSize size_of(const Context& context) {
  return {context.multiprocessors(), context.cache_bytes()};
}

Workspace needs_of(const abi::CompileRequest& request, const Context& context) {
  return workspace_of(request, size_of(context), long_products(context));
}

}  // namespace

uint64_t workspace_bytes(const abi::CompileRequest& request, const Context& context) {
  return needs_of(request, context).shared_bytes();
}

Program::Program(const abi::CompileRequest& request, const Host& host)
    : host_(host), step_(host.context, host.memory, request.shape, half_dim_of(*request.graph)) {
  const abi::Graph& graph = *request.graph;
  Context& context = host_.context;
  const Workspace needs = needs_of(request, context);
  if (request.workspace.bytes < needs.shared_bytes())
    throw abi::Failure(abi::StatusCode::invalid_argument, "the workspace is too small");
  std::byte* const partials =
      needs.shared_bytes() ? host_.memory.address(request.workspace) : nullptr;
  std::byte* const halves = partials + needs.partial_bytes();
  std::byte* const half_scales = halves + needs.half_bytes();
  LongPlaces places{};
  try {
    if (needs.arrival_words) {
      arrivals_ = host_.memory.device_block(needs.arrival_bytes());
      context.check(cudaMemsetAsync(arrivals_, 0, needs.arrival_bytes(), context.stream()),
                    "workspace");
    }
    if (needs.long_needs.total()) {
      places = needs.long_needs.places(half_scales + needs.half_scale_bytes());
      if (!host_.cublas) host_.cublas = std::make_unique<Cublas>(context);
      slices_ = std::make_unique<Slices>(context, places.slices, needs.long_needs.slice);
    }
    const Surroundings around{{graph, host_.memory, host_.weights},
                              request.shape,
                              step_.view(),
                              reinterpret_cast<float*>(partials),
                              reinterpret_cast<uint32_t*>(arrivals_),
                              halves,
                              reinterpret_cast<float*>(half_scales),
                              {places, host_.cublas.get(), slices_.get(), size_of(context)},
                              long_products(context),
                              size_of(context)};
    for (const abi::Claim& step : request.steps) launches_.push_back(lower(step.nodes, around));
    // A step of no rows loads every kernel, cuBLAS's too, which may not happen while recording.
    launch_all();
    if (context.options().recording == Recording::graph) record();
  } catch (...) {
    destroy();
    throw;
  }
}

Program::~Program() { destroy(); }

// What a lost device may still use is never freed.
void Program::destroy() {
  if (!abi::guard([&] {
         host_.context.enter();
         host_.context.wait();
       }).ok())
    return;
  if (recorded_) static_cast<void>(cudaGraphExecDestroy(recorded_));
  slices_.reset();
  static_cast<void>(cudaFree(arrivals_));
}

void Program::launch_all() {
  give_all();
  host_.context.check_launches("a launch");
}

// To the stream, whether that is recording or not.
void Program::give_all() {
  if (slices_) slices_->begin();
  for (const LaunchStep& step : launches_) {
    const TraceRange range(step.name);
    step.launch(host_.context.stream());
  }
}

// The capture is ended whatever happens in it: a stream that is left capturing takes no more work.
void Program::record() {
  Context& context = host_.context;
  context.check(cudaStreamBeginCapture(context.stream(), cudaStreamCaptureModeThreadLocal),
                "recording");
  const abi::Status status = abi::guard([&] { give_all(); });
  cudaGraph_t graph = nullptr;
  const cudaError_t launched = cudaGetLastError();
  const cudaError_t ended = cudaStreamEndCapture(context.stream(), &graph);
  const cudaError_t made = launched != cudaSuccess ? launched
                           : ended != cudaSuccess  ? ended
                                                   : cudaGraphInstantiate(&recorded_, graph, 0);
  if (graph) static_cast<void>(cudaGraphDestroy(graph));
  context.check(made, "recording");
  if (!status.ok()) throw abi::Failure(status.code, status.message);
  context.check(cudaGraphUpload(recorded_, context.stream()), "recording");
}

abi::Status Program::enqueue(const abi::Step& step) noexcept {
  return abi::guard([&] {
    host_.context.enter();
    step_.send(step);
    if (recorded_)
      host_.context.check(cudaGraphLaunch(recorded_, host_.context.stream()), "a step");
    else
      launch_all();
  });
}

}  // namespace ropewalk::cuda
