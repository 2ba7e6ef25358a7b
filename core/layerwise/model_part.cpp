#include "core/layerwise/model_part.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/base/error.h"
#include "core/checkpoint/weights/finite.h"
#include "core/exec/buckets.h"
#include "core/graph/check_step.h"

namespace ropewalk {
namespace {

StoredType stored_type_of(abi::DType type) {
  return type == abi::DType::f16 ? StoredType::f16 : StoredType::f32;
}

}  // namespace

ModelPart::ModelPart(const LayerDevice& on, const WeightSource& weights, GraphCut cut)
    : on_(on),
      inputs_(std::move(cut.inputs)),
      outputs_(std::move(cut.outputs)),
      tables_(std::move(cut.tables)),
      widest_{bucket_for(on.rows()), 1, 1,
              abi::pages_for(on.max_tokens(), abi::kDefaultPageTokens)} {
  LoadSettings settings;
  settings.programs = shapes_within(widest_);
  settings.folding = Folding::fold;
  settings.device_name = on.name();
  model_ = std::make_unique<LoadedModel>(on.device(), weights, std::move(cut.model), settings);
}

void ModelPart::run(std::span<const int32_t> ids, std::span<const ValueRows> inputs,
                    std::span<ValueRows> outputs) {
  for (size_t i = 0; i < inputs.size(); ++i) write_input(i, inputs[i]);
  std::vector<int32_t> tokens(ids.begin(), ids.end());
  if (!inputs_.empty()) std::iota(tokens.begin(), tokens.end(), 0);
  for (uint32_t first = 0; first < tokens.size(); first += on_.rows()) {
    const uint32_t count = std::min(on_.rows(), static_cast<uint32_t>(tokens.size()) - first);
    step(tokens, first, count);
    for (size_t i = 0; i < outputs.size(); ++i) read_output(i, first, count, outputs[i]);
  }
}

// A device that copies has tables of f32 and f16 as they are stored.
void ModelPart::write_input(size_t index, const ValueRows& rows) {
  const GraphTensor& table = model_->graph().tensors[tables_[index]];
  if (rows.host.empty()) {
    copy_on(on_, {table.at.buffer, table.at.offset, rows.device.bytes}, rows.device, table.dtype);
    return;
  }
  const uint64_t row = table.dims[1] * stored_size(stored_type_of(table.dtype));
  table_.assign(table.dims[0] * row, std::byte{0});
  std::ranges::copy(rows.host, table_.begin());
  const abi::Weight weight{.use = abi::WeightUse::embed,
                           .dtype = table.dtype,
                           .rows = table.dims[1],
                           .cols = table.dims[0],
                           .dense = table_};
  check(on_.device().pack(weight, table.at), table.name);
}

abi::Program& ModelPart::program(const abi::ProgramShape& shape) {
  const auto found = programs_.find(shape.rows);
  if (found != programs_.end()) return *found->second;
  abi::Program* compiled = nullptr;
  check(on_.device().compile(
            {&model_->view(), model_->claims(), shape, model_->of(StepKind::plain).workspace},
            &compiled),
        "compile");
  return *programs_.emplace(shape.rows, compiled).first->second;
}

// Tokens [first, first + count) of the text, whose earlier ones are in the cache.
void ModelPart::step(std::span<const int32_t> ids, uint32_t first, uint32_t count) {
  std::vector<uint32_t> position(count), sequence(count, 0), page(widest_.pages_per_sequence);
  std::iota(position.begin(), position.end(), first);
  std::iota(page.begin(), page.end(), 0u);
  const uint32_t length = first + count;
  abi::Step step;
  step.rows = count;
  step.prompt_rows = count > 1 ? count : 0;
  step.sequences = 1;
  step.token = ids.subspan(first, count);
  step.position = position;
  step.sequence = sequence;
  step.length = {&length, 1};
  step.page = page;
  step.inv_freq = on_.rope().inv_freq(static_cast<uint32_t>(ids.size()));
  const abi::ProgramShape shape = shape_for(count, 0, widest_);
  check_step(step, shape, step_limits(model_->view()));
  check(program(shape).enqueue(step), "step");
  check(on_.device().wait(), "step");
}

void ModelPart::read_output(size_t index, uint32_t first, uint32_t count, ValueRows& rows) {
  const GraphTensor& tensor = model_->graph().tensors[model_->graph().outputs[index]];
  const StoredType type = stored_type_of(tensor.dtype);
  const uint64_t width = outputs_[index].width, row = width * stored_size(type);
  abi::Slice from = tensor.at;
  from.bytes = count * row;
  uint64_t bad = UINT64_MAX;
  if (rows.host.empty()) {
    const abi::Slice to{rows.device.buffer, rows.device.offset + first * row, from.bytes};
    if (const uint32_t found = copy_on(on_, to, from, tensor.dtype); found != UINT32_MAX)
      bad = found;
  } else {
    const auto part = std::span(rows.host).subspan(first * row, from.bytes);
    check(on_.device().read(part, from), tensor.name);
    if (const NonFinite found = count_non_finite(type, part); found.count > 0) bad = found.first;
  }
  if (bad != UINT64_MAX)
    throw Error(ExitCode::non_finite, tensor.name,
                fmt::format("found a value that is NaN or infinite for token {} of a text",
                            first + bad / width),
                "Check the model with `ropewalk inspect --verify`; if it is sound, quantise it on "
                "another backend");
}

}  // namespace ropewalk
