#include "core/exec/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <tuple>

#include "core/abi/candidates.h"

namespace ropewalk {
namespace {

bool narrower(const abi::ProgramShape& a, const abi::ProgramShape& b) {
  return std::tie(a.rows, a.wanted, a.sequences) < std::tie(b.rows, b.wanted, b.sequences);
}

// NaN and the infinities: all exponent bits are set.
bool is_finite(float x) {
  constexpr uint32_t kExponent = 0x7f800000u;
  return (std::bit_cast<uint32_t>(x) & kExponent) != kExponent;
}

// Looks at all logits instead of stopping at the first bad one: only such loops are vectorised.
bool all_finite(std::span<const float> values) {
  uint32_t bad = 0;
  for (const float value : values) bad |= !is_finite(value);
  return bad == 0;
}

// cap * tanh(x / cap) to 1e-7 of the cap, in a form that loops vectorise. What is not finite stays
// so: find_bad_logit() is to see it.
float capped(float x, float cap) {
  const float e = abi::exp_of_negative(std::max(-2 * std::fabs(x) / cap, -87.0f));
  return is_finite(x) ? std::copysign(cap * (1 - e) / (1 + e), x) : x;
}

bool is_prompt(const Chunk& chunk) { return chunk.tokens.size() > 1; }

size_t wanted_rows(const Chunk& chunk) {
  return chunk.wanted == Wanted::all ? chunk.tokens.size() : chunk.wanted != Wanted::none;
}

}  // namespace

bool AllowedIds::contain(int32_t id) const {
  return static_cast<uint32_t>(id) < end && std::ranges::find(banned, id) == banned.end();
}

std::span<const float> ChunkResult::value() const {
  if (error) throw *error;
  return logits;
}

Executor::Executor(abi::Device& device, const LoadedModel& model, RopeTables& rope,
                   const abi::ProgramShape& widest)
    : device_(device),
      model_(model),
      rope_(rope),
      widest_(widest),
      limits_(step_limits(model.view())),
      adapted_limits_(model.has_adapters() ? step_limits(model.of(StepKind::adapted).view->get())
                                           : limits_),
      vocab_size_(model.graph().tensors[model.graph().outputs[0]].dims[1]),
      programs_{Programs(narrower), Programs(narrower)} {
  void* interface = nullptr;
  if (device.extension(abi::kLargestLogits, &interface).ok())
    device_largest_ = static_cast<abi::LargestLogits*>(interface);
}

abi::Program& Executor::program(StepKind kind, const abi::ProgramShape& shape) {
  Programs& programs = programs_[static_cast<size_t>(kind)];
  const auto found = programs.find(shape);
  if (found != programs.end()) return *found->second;
  const PlacedGraph& placed = model_.of(kind);
  abi::Program* compiled = nullptr;
  check(device_.compile({&placed.view->get(), placed.claims, shape, placed.workspace}, &compiled),
        "compile");
  return *programs.emplace(shape, compiled).first->second;
}

WarmUp Executor::warm_up() {
  const auto start = std::chrono::steady_clock::now();
  const auto count = [&] { return programs_[0].size() + programs_[1].size(); };
  const size_t before = count();
  for (const abi::ProgramShape& shape : shapes_within(widest_)) {
    program(StepKind::plain, shape);
    if (model_.has_adapters()) program(StepKind::adapted, shape);
  }
  return {count() - before,
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
}

// The slots of the chunks' adapters in the order of the step. A step without any is a plain one.
StepKind Executor::place_adapters(std::span<const Chunk> chunks) {
  slots_.clear();
  for (const size_t c : order_) slots_.push_back(chunks[c].sequence->adapter());
  if (std::ranges::all_of(slots_, [](uint32_t adapter) { return adapter == abi::kNoAdapter; })) {
    slots_.clear();
    return StepKind::plain;
  }
  adapters_->place(slots_);
  return StepKind::adapted;
}

void Executor::gather(std::span<const Chunk> chunks) {
  token_.clear();
  position_.clear();
  sequence_.clear();
  length_.clear();
  wanted_.clear();
  inv_freq_.clear();
  page_.assign(chunks.size() * widest_.pages_per_sequence, 0);
  order_.clear();
  for (const bool prompts : {true, false}) {  // in this order, as abi::Step asks
    const size_t first = order_.size();
    for (size_t c = 0; c < chunks.size(); ++c)
      if (is_prompt(chunks[c]) == prompts) order_.push_back(c);
    // Rows of one adapter side by side read its matrices together.
    if (model_.has_adapters())
      std::stable_sort(order_.begin() + static_cast<ptrdiff_t>(first), order_.end(),
                       [&](size_t a, size_t b) {
                         return chunks[a].sequence->adapter() < chunks[b].sequence->adapter();
                       });
    for (size_t i = first; i < order_.size(); ++i) add_to_step(chunks[order_[i]]);
    if (prompts) prompt_rows_ = static_cast<uint32_t>(token_.size());
  }
}

void Executor::add_to_step(const Chunk& chunk) {
  const auto s = static_cast<uint32_t>(length_.size());
  const uint32_t start = chunk.sequence->length();
  const auto count = static_cast<uint32_t>(chunk.tokens.size());
  for (uint32_t i = 0; i < count; ++i) {
    token_.push_back(chunk.tokens[i]);
    position_.push_back(start + i);
    sequence_.push_back(s);
  }
  const auto rows = static_cast<uint32_t>(token_.size());
  for (auto row = rows - static_cast<uint32_t>(wanted_rows(chunk)); row < rows; ++row)
    wanted_.push_back(row);
  length_.push_back(start + count);
  std::ranges::copy(chunk.sequence->pages(), page_.begin() + s * widest_.pages_per_sequence);
  const std::span<const float> table = rope_.inv_freq(std::max(chunk.final_length, start + count));
  inv_freq_.insert(inv_freq_.end(), table.begin(), table.end());
  inv_freq_.resize(uint64_t{s + 1} * limits_.rope_pairs, 0);  // without tables that no layer reads
}

std::span<const ChunkResult> Executor::run(std::span<const Chunk> chunks) {
  try {
    for (const Chunk& chunk : chunks) {
      chunk.sequence->reserve(static_cast<uint32_t>(chunk.tokens.size()));
    }
    gather(chunks);
    const StepKind kind = place_adapters(chunks);
    const abi::Step step{static_cast<uint32_t>(token_.size()),
                         prompt_rows_,
                         static_cast<uint32_t>(chunks.size()),
                         token_,
                         position_,
                         sequence_,
                         length_,
                         page_,
                         wanted_,
                         inv_freq_,
                         slots_};
    const abi::ProgramShape shape =
        shape_for(step.rows, static_cast<uint32_t>(wanted_.size()), widest_);
    check_step(step, shape, kind == StepKind::plain ? limits_ : adapted_limits_);
    abi::Program& compiled = program(kind, shape);
    if (trace_) trace_->begin_step();
    check(compiled.enqueue(step), "step");
    check(device_.wait(), "step");
    if (trace_) trace_->end_step(step);
    ++steps_run_;
    read_logits(kind, chunks);
  } catch (...) {
    // Frees the reserved pages.
    for (const Chunk& chunk : chunks) chunk.sequence->truncate(chunk.sequence->length());
    throw;
  }
  judge(chunks);
  return results_;
}

std::span<const float> Executor::run_one(const Chunk& chunk) {
  return run({&chunk, 1}).front().value();
}

// Reads the rows from the first to the last that the device's answer cannot take the place of.
void Executor::read_logits(StepKind kind, std::span<const Chunk> chunks) {
  logits_.resize(wanted_.size() * vocab_size_);
  if (logits_.empty()) return;
  if (device_largest_) {
    largest_.resize(wanted_.size());
    check(device_largest_->largest_logits(largest_), "logits");
  }
  size_t first = wanted_.size(), end = 0, row = 0;
  for (const size_t c : order_) {
    const size_t rows = wanted_rows(chunks[c]);
    if (rows > 0 && !find_largest(chunks[c], row)) {
      first = std::min(first, row);
      end = row + rows;
    }
    row += rows;
  }
  if (first >= end) return;
  const auto logits = std::span(logits_).subspan(first * vocab_size_, (end - first) * vocab_size_);
  const Graph& graph = model_.of(kind).model.graph;
  abi::Slice from = graph.tensors[graph.outputs[0]].at;
  from.offset += first * vocab_size_ * sizeof(float);
  from.bytes = logits.size_bytes();
  check(device_.read(std::as_writable_bytes(logits), from), "logits");
  if (const float cap = model_.logit_cap(); cap > 0)
    for (float& logit : logits) logit = capped(logit, cap);
}

// Where the device's answer is all that the chunk asks for. A row that is not finite is read: the
// error tells which logit it is. So is every row of a model with a cap, since large logits that
// differ may be equal under it. `row` counts the wanted rows of the step.
std::optional<int32_t> Executor::find_largest(const Chunk& chunk, size_t row) const {
  if (chunk.wanted != Wanted::largest || !device_largest_ || model_.logit_cap() > 0)
    return std::nullopt;
  const int32_t id = largest_[row];  // kNotFinite is no allowed id
  return chunk.allowed.contain(id) ? std::optional(id) : std::nullopt;
}

// Gives each chunk its logits or its error, and moves the sequences of the good ones on.
void Executor::judge(std::span<const Chunk> chunks) {
  results_.assign(chunks.size(), {});
  size_t row = 0;
  for (const size_t c : order_) {
    const Chunk& chunk = chunks[c];
    const size_t rows = wanted_rows(chunk);
    const auto logits = std::span(logits_).subspan(row * vocab_size_, rows * vocab_size_);
    results_[c].largest = find_largest(chunk, row);
    if (!results_[c].largest) results_[c].error = find_bad_logit(row, logits);
    if (results_[c].error) {
      chunk.sequence->truncate(chunk.sequence->length());
    } else {
      if (!results_[c].largest) results_[c].logits = logits;
      chunk.sequence->advance(static_cast<uint32_t>(chunk.tokens.size()));
    }
    row += rows;
  }
}

// Whether the device has looked at the rows and found nothing. `first_row` counts the wanted rows
// of the step.
bool Executor::known_finite(size_t first_row, size_t rows) const {
  if (!device_largest_) return false;
  const auto found = std::span(largest_).subspan(first_row, rows);
  return std::ranges::find(found, abi::kNotFinite) == found.end();
}

std::optional<Error> Executor::find_bad_logit(size_t first_row,
                                              std::span<const float> logits) const {
  if (known_finite(first_row, logits.size() / vocab_size_) || all_finite(logits))
    return std::nullopt;
  const auto bad =
      static_cast<size_t>(std::ranges::find_if_not(logits, is_finite) - logits.begin());
  const uint32_t row = wanted_[first_row + bad / vocab_size_];
  return Error(
      ExitCode::non_finite, "logits",
      fmt::format("found {} for token {} at position {} in step {}, expected a finite number",
                  logits[bad], bad % vocab_size_, position_[row], steps_run_),
      "Check the model with `ropewalk inspect --verify`; if it is sound, this is a bug: "
      "report it with the device's name");
}

}  // namespace ropewalk
