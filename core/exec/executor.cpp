#include "core/exec/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "core/base/error.h"

namespace ropewalk {
namespace {

bool narrower(const abi::ProgramShape& a, const abi::ProgramShape& b) {
  return std::tie(a.rows, a.wanted, a.sequences) < std::tie(b.rows, b.wanted, b.sequences);
}

}  // namespace

Executor::Executor(abi::Device& device, const LoadedModel& model, RopeTables& rope,
                   const abi::ProgramShape& widest)
    : device_(device),
      model_(model),
      rope_(rope),
      widest_(widest),
      limits_(step_limits(model.view())),
      vocab_size_(model.graph().tensors[model.graph().outputs[0]].dims[1]),
      programs_(narrower) {}

abi::Program& Executor::program(uint32_t rows, uint32_t wanted, uint32_t sequences) {
  const abi::ProgramShape shape = shape_for(rows, wanted, sequences, widest_);
  const auto found = programs_.find(shape);
  if (found != programs_.end()) return *found->second;
  abi::Program* compiled = nullptr;
  check(device_.compile({&model_.view(), model_.claims(), shape, model_.workspace()}, &compiled),
        "compile");
  return *programs_.emplace(shape, compiled).first->second;
}

void Executor::gather(std::span<const Chunk> chunks) {
  token_.clear();
  position_.clear();
  sequence_.clear();
  length_.clear();
  wanted_.clear();
  inv_freq_.clear();
  page_.assign(chunks.size() * widest_.pages_per_sequence, 0);
  for (uint32_t s = 0; s < chunks.size(); ++s) {
    const Chunk& chunk = chunks[s];
    const uint32_t start = chunk.sequence->length();
    const uint32_t count = static_cast<uint32_t>(chunk.tokens.size());
    for (uint32_t i = 0; i < count; ++i) {
      const bool is_last = i + 1 == count;
      if (chunk.wanted == Wanted::all || (chunk.wanted == Wanted::last && is_last)) {
        wanted_.push_back(static_cast<uint32_t>(token_.size()));
      }
      token_.push_back(chunk.tokens[i]);
      position_.push_back(start + i);
      sequence_.push_back(s);
    }
    length_.push_back(start + count);
    const std::span<const uint32_t> pages = chunk.sequence->pages();
    std::copy(pages.begin(), pages.end(), page_.begin() + s * widest_.pages_per_sequence);
    const std::span<const float> table =
        rope_.inv_freq(std::max(chunk.final_length, start + count));
    inv_freq_.insert(inv_freq_.end(), table.begin(), table.end());
  }
}

std::span<const float> Executor::run(std::span<const Chunk> chunks) {
  std::vector<uint32_t> before;
  for (const Chunk& chunk : chunks) before.push_back(chunk.sequence->length());
  try {
    for (const Chunk& chunk : chunks) {
      chunk.sequence->reserve(static_cast<uint32_t>(chunk.tokens.size()));
    }
    gather(chunks);
    const abi::Step step{static_cast<uint32_t>(token_.size()),
                         static_cast<uint32_t>(chunks.size()),
                         token_,
                         position_,
                         sequence_,
                         length_,
                         page_,
                         wanted_,
                         inv_freq_};
    const uint32_t wanted = static_cast<uint32_t>(wanted_.size());
    check_step(step, shape_for(step.rows, wanted, step.sequences, widest_), limits_);
    check(program(step.rows, wanted, step.sequences).enqueue(step), "step");
    check(device_.wait(), "step");
    ++steps_run_;
    read_logits(wanted);
  } catch (...) {
    for (size_t i = 0; i < chunks.size(); ++i) chunks[i].sequence->truncate(before[i]);
    throw;
  }
  for (const Chunk& chunk : chunks) {
    chunk.sequence->advance(static_cast<uint32_t>(chunk.tokens.size()));
  }
  return logits_;
}

// A NaN that is sampled from turns into fluent nonsense, so it stops the request here.
void Executor::read_logits(uint32_t rows) {
  logits_.resize(uint64_t{rows} * vocab_size_);
  if (rows == 0) return;
  abi::Slice from = model_.graph().tensors[model_.graph().outputs[0]].at;
  from.bytes = logits_.size() * sizeof(float);
  check(device_.read(std::as_writable_bytes(std::span(logits_)), from), "logits");
  for (size_t i = 0; i < logits_.size(); ++i) {
    if (std::isfinite(logits_[i])) continue;
    const uint32_t row = wanted_[i / vocab_size_];
    throw Error(
        ExitCode::non_finite, "logits",
        fmt::format("found {} for token {} at position {} in step {}, expected a finite number",
                    logits_[i], i % vocab_size_, position_[row], steps_run_),
        "Check the model with `ropewalk inspect --verify`; if it is sound, this is a bug: "
        "report it with the device's name");
  }
}

}  // namespace ropewalk
