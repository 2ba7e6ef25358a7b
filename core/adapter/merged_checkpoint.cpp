#include "core/adapter/merged_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/adapter/base_fit.h"
#include "core/adapter/low_rank.h"
#include "core/checkpoint/refuse.h"
#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/round.h"

namespace ropewalk {
namespace {

constexpr uint64_t kBlockValues = 4 << 20;  // computed at a time: 16 MiB of floats

const std::string kTableWeight = std::string(kTableModule) + ".weight";
const std::string kHeadWeight = std::string(kHeadModule) + ".weight";

bool is_weight(const TensorInfo& tensor) {
  const bool is_float = tensor.type == StoredType::f32 || tensor.type == StoredType::f16 ||
                        tensor.type == StoredType::bf16;
  return is_float && !tensor.name.ends_with(".inv_freq");
}

// Values in a row of a matrix; a vector is a matrix of one column.
uint64_t width_of(const TensorInfo& tensor) {
  uint64_t width = 1;
  for (size_t i = 1; i < tensor.shape.size(); ++i) width *= tensor.shape[i];
  return width;
}

[[noreturn]] void refuse_choice(const Adapter& adapter, std::string_view what,
                                std::string_view advice) {
  throw Error(ExitCode::usage, adapter.directory().string(), what, advice);
}

// A weight's rows stretched so that each has the length that the magnitude says.
void stretch(std::span<const float> magnitude, uint64_t width, std::span<float> values) {
  for (size_t row = 0; row < magnitude.size(); ++row) {
    const auto part = values.subspan(row * width, width);
    double squares = 0;
    for (const float value : part)
      squares += static_cast<double>(value) * static_cast<double>(value);
    const float factor = magnitude[row] / static_cast<float>(std::sqrt(squares));
    for (float& value : part) value *= factor;
  }
}

}  // namespace

void check_choice(const std::vector<ScaledAdapter>& adapters) {
  for (const ScaledAdapter& scaled : adapters) {
    const Adapter& adapter = *scaled.adapter;
    if (adapter.config().dora && adapters.size() > 1)
      refuse_choice(adapter, "is a DoRA, which cannot be added to other adapters",
                    "Merge it alone");
    if (adapter.config().dora && scaled.scale != 1)
      refuse_choice(adapter, fmt::format("is a DoRA, found the scale {}, expected 1", scaled.scale),
                    "");
    if (scaled.scale != 1 && (!adapter.replacements().empty() || !adapter.token_rows().empty()))
      refuse_choice(
          adapter,
          fmt::format("brings whole tensors, found the scale {}, expected 1", scaled.scale),
          "Only low-rank changes can be scaled");
  }
}

MergedCheckpoint::MergedCheckpoint(const Checkpoint& base, const MergeSettings& settings)
    : base_(base) {
  if (base.quantization())
    refuse(base.directory().string(), "is quantised, expected the f16, bf16 or f32 model",
           "Merge into the model that the adapter was trained on, then quantise the result");
  check_choice(settings.adapters);
  directory_ = base.directory();
  config_ = base.config();
  for (const ScaledAdapter& scaled : settings.adapters) {
    check_fit(*scaled.adapter, base);
    add(scaled);
  }
  list_tensors(settings.type);
}

const Adapter* MergedCheckpoint::new_vocabulary() const {
  if (config_.vocab_size == base_.config().vocab_size) return nullptr;
  return changes_.find(kTableWeight)->second.owner;
}

MergedCheckpoint::Change& MergedCheckpoint::change_of(const std::string& name) {
  Change& change = changes_[name];
  const bool tied_head = name == kHeadWeight && base_.config().tied_embeddings;
  change.source = tied_head ? kTableWeight : name;
  return change;
}

void MergedCheckpoint::add(const ScaledAdapter& scaled) {
  const Adapter& adapter = *scaled.adapter;
  const auto own = [&](Change& change, std::string_view name) {
    if (change.owner && change.owner != &adapter)
      refuse_choice(
          adapter,
          fmt::format("brings {} whole, and so does {}", name, change.owner->directory().string()),
          "Leave one of the adapters out");
    change.owner = &adapter;
  };
  for (const Replacement& replacement : adapter.replacements()) {
    Change& change = change_of(replacement.name);
    own(change, replacement.name);
    change.replacement = replacement.tensor;
  }
  for (const TokenRows& rows : adapter.token_rows()) {
    Change& change = change_of(rows.module + ".weight");
    own(change, rows.module);
    change.rows = &rows;
  }
  for (const LowRank& pair : adapter.low_ranks()) {
    const Term term{&adapter, &pair, pair.scale * scaled.scale};
    change_of(pair.module + ".weight").terms.push_back(term);
    if (!pair.bias) continue;
    if (!base_.find(pair.module + ".bias"))
      refuse(adapter.place_of(*pair.bias),
             fmt::format("adds to a bias, but {} of {} has none", pair.module,
                         base_.directory().string()),
             "Run the model with the adapter beside it: `adapters:` in the configuration");
    change_of(pair.module + ".bias").biases.push_back(term);
  }
}

void MergedCheckpoint::list_tensors(std::optional<StoredType> type) {
  const bool unties =
      base_.config().tied_embeddings && std::ranges::any_of(changes_, [](const auto& entry) {
        const auto& [name, change] = entry;
        const bool table = name == kHeadWeight || name == kTableWeight;
        return table && (change.replacement || !change.terms.empty());
      });
  for (const TensorInfo& tensor : base_.tensors())
    if (!unties || tensor.name != kHeadWeight) tensors_.push_back(tensor);
  if (unties) {
    config_.tied_embeddings = false;
    change_of(kHeadWeight);
    TensorInfo head = base_.get(kTableWeight);
    head.name = kHeadWeight;
    tensors_.push_back(std::move(head));
  }
  std::ranges::sort(tensors_, {}, &TensorInfo::name);
  for (TensorInfo& tensor : tensors_) {
    const auto change = changes_.find(tensor.name);
    if (change != changes_.end() && change->second.replacement)
      tensor.shape = change->second.replacement->shape;
    if (type && is_weight(tensor)) {
      if (tensor.type != *type) change_of(tensor.name);
      tensor.type = *type;
    }
    tensor.bytes =
        width_of(tensor) * (tensor.shape.empty() ? 1 : tensor.shape[0]) * stored_size(tensor.type);
    if (tensor.name == kTableWeight) config_.vocab_size = static_cast<uint32_t>(tensor.shape[0]);
  }
}

void MergedCheckpoint::read_from(const TensorInfo& tensor, uint64_t offset,
                                 std::span<std::byte> out) const {
  const auto change = changes_.find(tensor.name);
  if (change == changes_.end()) return base_.read_from(base_.get(tensor.name), offset, out);
  const uint64_t size = stored_size(tensor.type), width = width_of(tensor), row = width * size;
  const uint64_t most = std::max<uint64_t>(kBlockValues / width, 1);
  while (!out.empty()) {
    const uint64_t first = offset / row, into = offset % row;
    const uint64_t rows = std::min((into + out.size() + row - 1) / row, most);
    std::vector<std::byte> bytes(rows * row);
    round_to(tensor.type, values(change->second, {first, rows, width}), bytes);
    if (count_non_finite(tensor.type, bytes).count > 0)
      throw Error(ExitCode::non_finite, tensor.name,
                  fmt::format("the merged weight has values too large for {}, or a row of length 0",
                              stored_name(tensor.type)),
                  "Merge with --dtype bf16 or f32, or check lora_alpha and the scale");
    const size_t count = std::min<uint64_t>(out.size(), bytes.size() - into);
    std::memcpy(out.data(), bytes.data() + into, count);
    out = out.subspan(count);
    offset += count;
  }
}

std::vector<float> MergedCheckpoint::base_values(const Change& change, const Block& block) const {
  if (change.replacement) return change.owner->read(*change.replacement, block.first, block.rows);
  const TensorInfo& source = base_.get(change.source);
  const uint64_t row = block.width * stored_size(source.type);
  std::vector<std::byte> bytes(block.rows * row);
  base_.read_from(source, block.first * row, bytes);
  if (count_non_finite(source.type, bytes).count > 0)
    refuse(fmt::format("{}: {}", base_.directory().string(), source.name),
           "found values that are NaN or infinite",
           "The file is damaged: see `ropewalk inspect --verify`");
  return to_floats(source.type, bytes);
}

std::vector<float> MergedCheckpoint::values(const Change& change, const Block& block) const {
  std::vector<float> values = base_values(change, block);
  if (change.rows) {
    const std::vector<uint32_t>& ids = change.rows->ids;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] < block.first || ids[i] >= block.first + block.rows) continue;
      const std::vector<float> row = change.owner->read(*change.rows->tensor, i, 1);
      std::ranges::copy(
          row, values.begin() + static_cast<ptrdiff_t>((ids[i] - block.first) * block.width));
    }
  }
  for (const Term& term : change.terms) {
    const Factors factors = load_factors(*term.adapter, *term.pair, block.first, block.rows);
    add_product(factors, static_cast<float>(term.scale), values);
    if (term.pair->magnitude)
      stretch(term.adapter->read(*term.pair->magnitude, block.first, block.rows), block.width,
              values);
  }
  for (const Term& term : change.biases) {
    const std::vector<float> bias = term.adapter->read(*term.pair->bias, block.first, block.rows);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] += static_cast<float>(term.scale) * bias[i];
  }
  return values;
}

}  // namespace ropewalk
