#include "backends/cuda/program/program.h"

#include <algorithm>

#include "backends/cuda/gptq/lean/matmul.h"
#include "backends/cuda/program/lower_product.h"
#include "backends/cuda/program/trace.h"
#include "core/abi/guard.h"
#include "core/abi/operands.h"

namespace ropewalk::cuda {
namespace {

LargeBatchLibrary large_batch_library(const Context& context) {
  if (!Cublas::missing().empty()) return LargeBatchLibrary::none;
  return context.has_bf16() ? LargeBatchLibrary::cublas : LargeBatchLibrary::cublas_without_bf16;
}

Target target_of(const DeviceParts& parts) {
  const Context& context = parts.context;
  return {context.multiprocessors(), context.cache_bytes(),        context.capability(),
          context.shared_bytes(),    large_batch_library(context), parts.options.choices};
}

WorkspaceNeeds needs_of(const abi::CompileRequest& request, const DeviceParts& parts) {
  WorkspaceNeeds needs = workspace_needs(request, target_of(parts));
  needs.step_bytes = StepBlock::bytes(request.shape, rope_sizes_of(*request.graph).pairs());
  return needs;
}

std::byte* workspace_at(const abi::CompileRequest& request, const WorkspaceNeeds& needs,
                        const Memory& memory) {
  if (request.shape.rows > kMaxRows || request.shape.wanted > kMaxRows)
    throw abi::Failure(abi::StatusCode::invalid_argument, "more rows than the device has said");
  if (request.workspace.bytes < needs.total())
    throw abi::Failure(abi::StatusCode::invalid_argument, "the workspace is too small");
  return memory.address(request.workspace);
}

// The output, where it is logits and the device finds the largest; else null.
const abi::Tensor* searched_logits(const abi::Graph& graph, const Options& options) {
  if (options.logits == LogitsOn::host || graph.outputs.size() != 1) return nullptr;
  const abi::Tensor& output = graph.tensors[graph.outputs[0]];
  const bool is_logits =
      output.rank == 2 && output.dim[0] == abi::kWanted && output.dtype == abi::DType::f32;
  return is_logits ? &output : nullptr;
}

std::unique_ptr<LogitMaxima> maxima_of(const abi::CompileRequest& request, const DeviceParts& parts,
                                       const StepView& step, Start start) {
  const abi::Tensor* output = searched_logits(*request.graph, parts.options);
  if (!output) return nullptr;
  const auto* logits = reinterpret_cast<const float*>(parts.memory.address(output->at));
  const uint32_t* wanted = step.counts + static_cast<uint32_t>(Extent::wanted);
  const uint32_t rows = launch_rows(request.shape, Extent::wanted), width = output->dim[1];
  return std::make_unique<LogitMaxima>(Logits{logits, wanted, rows, width},
                                       parts.shared.keys.reserve(rows, width), start);
}

// What programs share is allocated with the first that needs it.
void reserve(const WorkspaceNeeds& needs, const DeviceParts& parts) {
  parts.shared.inputs.reserve(needs.step_bytes);
  if (needs.large_batch.total() == 0) return;
  if (!parts.shared.cublas) parts.shared.cublas = std::make_unique<Cublas>(parts.context);
  if (!parts.shared.slices) parts.shared.slices = std::make_unique<Slices>(parts.context);
}

}  // namespace

uint64_t workspace_bytes(const abi::CompileRequest& request, const DeviceParts& parts) {
  const WorkspaceNeeds needs = needs_of(request, parts);
  reserve(needs, parts);
  if (const abi::Tensor* output = searched_logits(*request.graph, parts.options))
    parts.shared.keys.reserve(launch_rows(request.shape, Extent::wanted), output->dim[1]);
  return needs.total();
}

Program::Program(const abi::CompileRequest& request, const DeviceParts& parts)
    : parts_(parts),
      needs_(needs_of(request, parts)),
      workspace_(needs_.pointers(workspace_at(request, needs_, parts.memory))),
      large_batch_(needs_.large_batch.pointers(workspace_.large_batch)),
      step_(parts.shared.inputs, workspace_.step, request.shape,
            rope_sizes_of(*request.graph).pairs()) {
  Context& context = parts_.context;
  reserve(needs_, parts);
  try {
    // An empty step: no rows. All programs share the tile counters, which every launch leaves at
    // zero; only the first program has to clear them.
    const auto zeroed = static_cast<size_t>(workspace_.partials - workspace_.tile_counters);
    context.check(cudaMemsetAsync(workspace_.tile_counters, 0, zeroed, context.stream()),
                  "workspace");
    PreparedBuffers prepared(*request.graph, request.shape, workspace_.prepared,
                             needs_.prepared_bytes);
    const CompileContext lowering{
        {*request.graph, parts_.memory, parts_.weights},
        request.shape,
        step_.view(),
        reinterpret_cast<float*>(workspace_.partials),
        reinterpret_cast<uint32_t*>(workspace_.tile_counters),
        &prepared,
        workspace_.x_f16,
        reinterpret_cast<float*>(workspace_.x_scales),
        {large_batch_, parts.shared.cublas.get(), parts.shared.slices.get(), target_of(parts)},
        target_of(parts)};
    plan_x(request.steps, lowering);
    for (const abi::Claim& step : request.steps) launches_.push_back(lower(step.nodes, lowering));
    // What cuBLAS launches is its own, and need not be a kernel: the search waits behind it.
    const Start start =
        needs_.large_batch.total() == 0 ? gptq::start_of(target_of(parts)) : Start::after;
    maxima_ = maxima_of(request, parts_, step_.view(), start);
    // Run the empty step: it loads every kernel, cuBLAS's too, which a recording does not allow.
    launch_and_check();
    if (parts_.timer.enabled())
      for (size_t i = 0; i <= launches_.size(); ++i) events_.emplace_back(context);
    else if (parts_.options.recording == Recording::graph)
      record();
  } catch (...) {
    destroy();
    throw;
  }
}

Program::~Program() { destroy(); }

// A lost device may still use its memory, so that is never freed.
void Program::destroy() {
  parts_.timer.forget(*this);
  if (parts_.shared.maxima == maxima_.get()) parts_.shared.maxima = nullptr;
  if (!abi::guard([&] {
         parts_.context.enter();
         parts_.context.wait();
       }).ok())
    return;
  if (recorded_) static_cast<void>(cudaGraphExecDestroy(recorded_));
}

void Program::launch_and_check() {
  launch_into_stream();
  parts_.context.check_launches("a launch");
}

void Program::begin_slices() {
  if (needs_.large_batch.total())
    parts_.shared.slices->begin(large_batch_.slices, needs_.large_batch.slice);
}

void Program::launch_into_stream() {
  begin_slices();
  for (const LaunchStep& step : launches_) {
    const TraceRange range(step.name);
    step.launch(parts_.context.stream());
  }
  launch_maxima();
}

void Program::launch_maxima() {
  if (!maxima_) return;
  const TraceRange range("largest logits");
  maxima_->launch(parts_.context.stream());
}

// Slices of weights are not dequantised ahead of their product: the time of a group covers all of
// its work.
void Program::launch_timed() {
  events_[0].record();
  for (size_t i = 0; i < launches_.size(); ++i) {
    begin_slices();
    const TraceRange range(launches_[i].name);
    launches_[i].launch(parts_.context.stream());
    events_[i + 1].record();
  }
  launch_maxima();
  parts_.context.check_launches("a launch");
  parts_.timer.ran(*this);
}

std::vector<double> Program::group_ends_us() const {
  parts_.context.enter();
  std::vector<double> ends;
  for (size_t i = 1; i < events_.size(); ++i)
    ends.push_back(events_[i].seconds_since(events_[0]) * 1e6);
  return ends;
}

// The capture always ends, also after an error: a stream that still captures takes no more work.
void Program::record() {
  Context& context = parts_.context;
  context.check(cudaStreamBeginCapture(context.stream(), cudaStreamCaptureModeThreadLocal),
                "recording");
  const abi::Status status = abi::guard([&] { launch_into_stream(); });
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
    parts_.context.enter();
    step_.send(step);
    if (!events_.empty())
      launch_timed();
    else if (recorded_)
      parts_.context.check(cudaGraphLaunch(recorded_, parts_.context.stream()), "a step");
    else
      launch_and_check();
    parts_.shared.maxima = maxima_.get();
  });
}

}  // namespace ropewalk::cuda
