#include "backends/cuda/program/program.h"

#include <algorithm>

#include "backends/cuda/program/trace.h"
#include "core/abi/guard.h"
#include "core/abi/operands.h"

namespace ropewalk::cuda {
namespace {

LongProducts long_products(const Context& context) {
  if (!Cublas::missing().empty()) return LongProducts::packed;
  return context.has_bf16() ? LongProducts::cublas : LongProducts::cublas_without_bf16;
}

Target target_of(const Host& host) {
  const Context& context = host.context;
  return {context.multiprocessors(), context.cache_bytes(),  context.capability(),
          context.shared_bytes(),    long_products(context), host.options.choices};
}

Workspace needs_of(const abi::CompileRequest& request, const Host& host) {
  Workspace needs = workspace_of(request, target_of(host));
  needs.step_bytes = StepBlock::bytes(request.shape, half_dim_of(*request.graph));
  return needs;
}

std::byte* workspace_at(const abi::CompileRequest& request, const Workspace& needs,
                        const Memory& memory) {
  if (request.shape.rows > kMostRows || request.shape.wanted > kMostRows)
    throw abi::Failure(abi::StatusCode::invalid_argument, "more rows than the device has said");
  if (request.workspace.bytes < needs.total())
    throw abi::Failure(abi::StatusCode::invalid_argument, "the workspace is too small");
  return memory.address(request.workspace);
}

void cover(const Workspace& needs, const Host& host) {
  host.common.inputs.cover(needs.step_bytes);
  if (needs.long_needs.total() == 0) return;
  if (!host.common.cublas) host.common.cublas = std::make_unique<Cublas>(host.context);
  if (!host.common.slices) host.common.slices = std::make_unique<Slices>(host.context);
}

}  // namespace

uint64_t workspace_bytes(const abi::CompileRequest& request, const Host& host) {
  const Workspace needs = needs_of(request, host);
  cover(needs, host);
  return needs.total();
}

Program::Program(const abi::CompileRequest& request, const Host& host)
    : host_(host),
      needs_(needs_of(request, host)),
      places_(needs_.places(workspace_at(request, needs_, host.memory))),
      long_places_(needs_.long_needs.places(places_.long_products)),
      step_(host.common.inputs, places_.step, request.shape, half_dim_of(*request.graph)) {
  Context& context = host_.context;
  cover(needs_, host);
  try {
    // A step of no rows. Arrivals lie where other programs have theirs, and are zero there but for
    // the first of all.
    const auto begun = static_cast<size_t>(places_.partials - places_.arrivals);
    context.check(cudaMemsetAsync(places_.arrivals, 0, begun, context.stream()), "workspace");
    const Surroundings around{
        {*request.graph, host_.memory, host_.weights},
        request.shape,
        step_.view(),
        reinterpret_cast<float*>(places_.partials),
        reinterpret_cast<uint32_t*>(places_.arrivals),
        places_.prepared,
        places_.halves,
        reinterpret_cast<float*>(places_.half_scales),
        {long_places_, host.common.cublas.get(), host.common.slices.get(), target_of(host)},
        target_of(host)};
    for (const abi::Claim& step : request.steps) launches_.push_back(lower(step.nodes, around));
    // A step of no rows loads every kernel, cuBLAS's too, which may not happen while recording.
    launch_all();
    if (host_.options.recording == Recording::graph) record();
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
}

void Program::launch_all() {
  give_all();
  host_.context.check_launches("a launch");
}

// To the stream, whether that is recording or not.
void Program::give_all() {
  if (needs_.long_needs.total())
    host_.common.slices->begin(long_places_.slices, needs_.long_needs.slice);
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
