#include "core/layerwise/quantize_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "core/adapter/merged_checkpoint.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/checkpoint/weights/checkpoint_weights.h"
#include "core/checkpoint/weights/finite.h"
#include "core/exec/kv_cache.h"
#include "core/json/json.h"
#include "core/layerwise/layer_weights.h"
#include "core/layerwise/unpacked_checkpoint.h"
#include "core/model/families.h"
#include "core/quantize/pull.h"

namespace ropewalk {
namespace {

namespace fs = std::filesystem;

constexpr const char* kJournal = "quantize.journal";
constexpr std::array kActivations = {"quantize.activations-0", "quantize.activations-1",
                                     "quantize.activations-layer-0",
                                     "quantize.activations-layer-1"};
constexpr std::array kDenseActivations = {"quantize.activations-dense-0",
                                          "quantize.activations-dense-1"};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

StoredType activation_type(const LayerDevice* on) {
  return on->info().activation == abi::DType::f16 ? StoredType::f16 : StoredType::f32;
}

uint64_t width_of(const std::vector<LiveValue>& values) {
  uint64_t width = 0;
  for (const LiveValue& value : values) width += value.width;
  return width;
}

ValueRows rows_of(const Activations& values, const std::string& name, uint64_t first,
                  uint64_t tokens) {
  return values.read(values.index_of(name), first, tokens);
}

uint64_t tokens_of(const std::vector<std::vector<int32_t>>& texts) {
  uint64_t tokens = 0;
  for (const auto& text : texts) tokens += text.size();
  return tokens;
}

std::set<std::string> names_of(const LinearSet& set) {
  std::set<std::string> names;
  for (const Linear& linear : set.linears) names.insert(linear.name);
  return names;
}

// The graph's names of a set's layers.
std::set<std::string> layers_of(const LinearSet& set) {
  std::set<std::string> names;
  for (const Linear& linear : set.linears) names.insert(linear.layers.begin(), linear.layers.end());
  return names;
}

// A folder is taken unless a journal says that it is a run's of ours.
void check_folder(const fs::path& path) {
  std::error_code error;
  if (fs::exists(path / kJournal, error)) return;
  const OutputFolder probe(path, Existing::refuse);
}

// Files of other settings may have other sizes. REQUIRES: the journal's lock.
void remove_earlier(const fs::path& path) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".partial") || name.starts_with("quantize.activations"))
      fs::remove(entry.path(), ignored);
  }
}

[[noreturn]] void damaged(const fs::path& path, const std::string& what) {
  throw Error(ExitCode::model, path.string(), what + " has changed since the earlier run wrote it",
              "Begin anew with --fresh");
}

}  // namespace

QuantizeRun::QuantizeRun(const QuantizeJob& job, const fs::path& folder)
    : job_(job), path_(folder) {
  if (job_.base->quantization())
    throw Error(ExitCode::model, job_.base->directory().string(),
                "is quantised, expected the f16, bf16 or f32 model",
                "Quantise the model that it was made from");
  options_ = {job_.on->info().activation, job_.on->kv_type(),
              abi::pages_for(job_.on->max_tokens(), abi::kDefaultPageTokens),
              job_.on->rope().attention_scale(), abi::KeyRotation::before_cache};
  base_weights_ = std::make_unique<CheckpointWeights>(*job_.base);
  const ModelGraph whole = build_model(*base_weights_, options_);
  sets_ = linear_sets(whole, job_.skip);
  check_shapes(sets_, job_.settings);
  std::set<std::string> linears;
  for (const LinearSet& set : sets_) {
    linears.merge(names_of(set));
    live_.push_back(live_at(whole.graph, node_of(set, whole.graph)));
  }
  check_folder(path_);
  folder_ = std::make_unique<OutputFolder>(path_, Existing::keep);
  journal_ = std::make_unique<quantize::Journal>(path_ / kJournal, job_.fingerprint, job_.start);
  if (job_.start == quantize::Start::anew) remove_earlier(path_);
  output_ = std::make_unique<QuantizedOutput>(*job_.base, linears, job_.settings, job_.shard_bytes,
                                              *folder_);
  // Each file has room for the widest of the cuts that it will hold: q k v's, or down's.
  std::array<uint64_t, kActivations.size()> widths{};
  std::array<uint64_t, kDenseActivations.size()> dense_widths{};
  for (size_t set = 0; set < sets_.size(); ++set) {
    uint64_t& width = widths[file_of(set)];
    width = std::max(width, width_of(live_[set]));
    uint64_t& dense = dense_widths[set % 2];
    dense = std::max(dense, width_of(live_[set]));
  }
  const size_t count = job_.true_sequential ? 2 : 4;
  const StoredType type = activation_type(job_.on);
  const uint64_t tokens = tokens_of(*job_.texts);
  for (size_t i = 0; i < count; ++i) activation_bytes_ += activation_bytes(tokens, type, widths[i]);
  // The dense model's values are for the host alone.
  const bool on_device = activation_bytes_ <= job_.device_bytes && !job_.asymmetric_calibration;
  for (size_t i = 0; i < count; ++i)
    if (on_device)
      files_.push_back(std::make_unique<ActivationMemory>(*job_.on, tokens, type, widths[i]));
    else
      files_.push_back(
          std::make_unique<ActivationFile>(path_ / kActivations[i], tokens, type, widths[i]));
  if (!job_.asymmetric_calibration) return;
  for (size_t i = 0; i < kDenseActivations.size(); ++i) {
    activation_bytes_ += activation_bytes(tokens, type, dense_widths[i]);
    dense_files_.push_back(std::make_unique<ActivationFile>(path_ / kDenseActivations[i], tokens,
                                                            type, dense_widths[i]));
  }
}

// The first entry of the journal says that the first set's inputs are there, each other one that a
// set is finished and the next one's inputs are there.
size_t QuantizeRun::finished() const {
  const size_t entries = journal_->entries().size();
  return entries == 0 ? 0 : entries - 1;
}

double QuantizeRun::flop_of_sets(size_t first, size_t last) const {
  double flop = 0;
  for (size_t i = first; i < last; ++i) flop += flop_of(sets_[i], tokens_of(*job_.texts));
  // The dense model's forward pass, and D and P, which take what H and its factor do.
  return job_.asymmetric_calibration ? 2 * flop : flop;
}

double QuantizeRun::share(size_t sets) const {
  return flop_of_sets(0, sets) / flop_of_sets(0, sets_.size());
}

// The widest set counts. Of the host: its Hessian and what factorises it in f64, U in f32, a matrix
// twice in f32; where there are dense inputs also D in f64, which is gone when the matrices come.
// The device's solver leaves it U at most, a matrix with its codes twice, and what is read of both.
QuantizePlan QuantizeRun::plan() const {
  const uint64_t square_bytes = job_.solver ? 4 : job_.asymmetric_calibration ? 28 : 20;
  uint64_t host = 0;
  for (const LinearSet& set : sets_) {
    uint64_t rows = 0;
    for (const Linear& linear : set.linears) rows = std::max<uint64_t>(rows, linear.rows);
    host = std::max(host, uint64_t{set.cols} * set.cols * square_bytes + rows * set.cols * 8);
  }
  const bool outlasts = files_.front()->outlasts();
  return {output_->bytes(), outlasts ? activation_bytes_ : 0, outlasts ? 0 : activation_bytes_,
          host, flop_of_sets(finished(), sets_.size())};
}

double QuantizeRun::done() const { return share(finished()); }

void QuantizeRun::verify() const {
  for (const Json& entry : journal_->entries())
    if (entry.contains("matrices"))
      for (const Json& matrix : entry["matrices"])
        if (output_->checksum(matrix["name"].get<std::string>()) != matrix["check"])
          damaged(path_, matrix["name"].get<std::string>());
  if (finished() == sets_.size() || !finds_values()) return;
  for (const size_t set : {finished(), first_of_layer(finished())})
    if ((set == finished() || !job_.true_sequential) &&
        at(set).checksum() != journal_->entries()[set]["inputs"])
      damaged(path_ / kActivations[file_of(set)], "it");
  if (!dense_files_.empty() &&
      dense_at(finished()).checksum() != journal_->entries()[finished()]["dense_inputs"])
    damaged(path_ / kDenseActivations[finished() % 2], "it");
}

bool QuantizeRun::finds_values() const {
  return files_.front()->outlasts() &&
         !journal_->entries().back()["inputs"].get<std::string>().empty();
}

void QuantizeRun::recall() {
  const size_t set = finished();
  const bool ended = set == sets_.size(), finds = !ended && finds_values();
  if (finds) {
    for (const size_t held : {set, first_of_layer(set)})
      if (held == set || !job_.true_sequential) at(held).hold(live_[held]);
    if (!dense_files_.empty()) dense_at(set).hold(live_[set]);
  }
  verify();
  if (ended || finds) return;
  for (size_t before = 0; before <= set; ++before) forward(before);
}

bool QuantizeRun::begins_layer(size_t set) const {
  return set == 0 || layer_of(sets_[set]) != layer_of(sets_[set - 1]);
}

size_t QuantizeRun::first_of_layer(size_t set) const {
  while (!begins_layer(set)) --set;
  return set;
}

size_t QuantizeRun::source_of(size_t set) const {
  return job_.true_sequential || !begins_layer(set) ? set - 1 : first_of_layer(set - 1);
}

size_t QuantizeRun::file_of(size_t set) const {
  if (job_.true_sequential || !begins_layer(set)) return set % 2;
  size_t layers = 0;
  for (size_t i = 0; i < set; ++i) layers += begins_layer(i) ? 1 : 0;
  return 2 + layers % 2;
}

void QuantizeRun::run() {
  output_->copy_others();
  if (journal_->entries().empty()) {
    forward(0);
    Json entry;
    settle(0, entry);
    journal_->append(entry);
  } else {
    recall();
  }
  for (size_t i = finished(); i < sets_.size(); ++i) {
    Json entry = {{"matrices", solve_set(sets_[i])}};
    output_->flush();
    if (i + 1 < sets_.size()) {
      forward(i + 1);
      settle(i + 1, entry);
    }
    journal_->append(entry);
  }
}

void QuantizeRun::settle(size_t set, Json& entry) const {
  entry["inputs"] = at(set).settle();
  if (!dense_files_.empty()) entry["dense_inputs"] = dense_at(set).settle();
}

// From where one set begins to where another does.
struct QuantizeRun::Leg {
  const WeightSource& weights;
  size_t source, target;
  const Activations* before;  // nullptr: from the ids on
  Activations& after;
};

// nullptr: no adapter runs beside the model.
std::unique_ptr<AdaptedWeights> QuantizeRun::beside(const WeightSource* packed,
                                                    const std::set<std::string>& layers) const {
  if (!job_.beside.adapter) return nullptr;
  return std::make_unique<AdaptedWeights>(*job_.base, job_.beside, packed, layers);
}

void QuantizeRun::forward(size_t set) {
  std::unique_ptr<Checkpoint> written;
  std::unique_ptr<WeightSource> packed;
  std::set<std::string> names, stored;
  const size_t source = set > 0 ? source_of(set) : 0;
  if (set > 0 && (job_.true_sequential || begins_layer(set))) {
    for (size_t i = source; i < set; ++i) {
      stored.merge(names_of(sets_[i]));
      names.merge(layers_of(sets_[i]));
    }
    written = output_->written(stored);
    packed = std::make_unique<CheckpointWeights>(*written);
  }
  const bool begins = set == 0;
  const std::unique_ptr<AdaptedWeights> adapted = beside(packed.get(), stored);
  const LayerWeights weights = adapted ? LayerWeights(adapted->source(), nullptr, {})
                                       : LayerWeights(*base_weights_, packed.get(), names);
  run_leg({weights, source, set, begins ? nullptr : &at(source), at(set)});
  if (dense_files_.empty()) return;
  const std::unique_ptr<AdaptedWeights> adapted_dense = beside(nullptr, {});
  const LayerWeights dense(adapted_dense ? adapted_dense->source() : *base_weights_, nullptr, {});
  const size_t previous = begins ? 0 : set - 1;
  run_leg({dense, previous, set, begins ? nullptr : &dense_at(previous), dense_at(set)});
}

void QuantizeRun::run_leg(const Leg& leg) {
  const ModelGraph whole = build_model(leg.weights, options_);
  const Activations* before = leg.before;
  const size_t first = before ? node_of(sets_[leg.source], whole.graph) : 0;
  const size_t last = node_of(sets_[leg.target], whole.graph);
  ModelPart part(*job_.on, leg.weights, cut_graph(whole, first, last, job_.on->max_tokens()));
  Activations& after = leg.after;
  after.hold(live_[leg.target]);
  // A value that passes by the part unchanged is copied.
  const auto is_computed = [&](const LiveValue& value) {
    return std::ranges::find(part.outputs(), value) != part.outputs().end();
  };
  uint64_t token = 0;
  for (const std::vector<int32_t>& text : *job_.texts) {
    job_.tick();
    std::vector<ValueRows> in, out;
    for (const LiveValue& value : part.inputs())
      in.push_back(rows_of(*before, value.name, token, text.size()));
    for (const LiveValue& value : part.outputs())
      out.push_back(after.room(after.index_of(value.name), token, text.size()));
    part.run(text, in, out);
    for (size_t i = 0; i < out.size(); ++i)
      after.write(after.index_of(part.outputs()[i].name), token, out[i]);
    for (size_t i = 0; i < after.values().size(); ++i) {
      if (is_computed(after.values()[i])) continue;
      after.write(i, token, rows_of(*before, after.values()[i].name, token, text.size()));
    }
    token += text.size();
  }
}

std::optional<quantize::Shift> QuantizeRun::show_inputs(const LinearSet& set,
                                                        SetSolver& solver) const {
  const size_t index = finished();
  const Activations& values = at(index);
  std::optional<quantize::Shift> shift;
  if (!dense_files_.empty()) shift.emplace(set.cols);
  uint64_t token = 0;
  for (const std::vector<int32_t>& text : *job_.texts) {
    job_.tick();
    const ValueRows x = rows_of(values, set.input, token, text.size());
    solver.add(values.type(), x);
    if (shift) {
      const ValueRows dense = rows_of(dense_at(index), set.input, token, text.size());
      shift->add(to_floats(values.type(), x.host), to_floats(values.type(), dense.host),
                 job_.settings.threads);
    }
    token += text.size();
  }
  solver.settle();
  return shift;
}

std::vector<float> QuantizeRun::weight_of(const Linear& linear, uint32_t cols) const {
  const TensorInfo& tensor = job_.base->get(linear.name + ".weight");
  std::vector<std::byte> bytes(tensor.bytes);
  job_.base->read(tensor, bytes);
  const NonFinite bad = count_non_finite(tensor.type, bytes);
  if (bad.count > 0)
    throw Error(ExitCode::model, tensor.name,
                fmt::format("found {} values that are NaN or infinite, the first for output {}, "
                            "input {}",
                            bad.count, bad.first / cols, bad.first % cols),
                "Download the model again");
  return to_floats(tensor.type, bytes);
}

Json QuantizeRun::solve_set(const LinearSet& set) {
  const size_t index = finished();
  const quantize::Settings& settings = job_.settings;
  SetSolver solver(*job_.on, job_.solver,
                   {set.cols, job_.asymmetric_calibration, !checked_, set.linears.front().name},
                   settings);
  checked_ = true;
  std::optional<quantize::Shift> shift = show_inputs(set, solver);
  std::optional<quantize::Factor> factor;
  if (job_.method == QuantizeMethod::gptq) {
    factor = solver.factorise();
    if (factor && shift) factor->pull = quantize::pull_of(*shift, *factor, settings.threads);
    shift.reset();
    if (!factor)
      warn(
          fmt::format("{}: its inputs cannot be factorised with any damping; its set is rounded to "
                      "the nearest codes",
                      set.linears.front().name));
    else if (factor->damp > settings.damp)
      warn(fmt::format("{}: damping raised to {}", set.linears.front().name, factor->damp));
  }
  const auto dead_count = static_cast<uint32_t>(std::ranges::count(solver.dead(), true));
  Json matrices = Json::array();
  for (size_t i = 0; i < set.linears.size(); ++i) {
    job_.tick();
    const auto start = std::chrono::steady_clock::now();
    const Linear& linear = set.linears[i];
    const std::vector<float> weight = weight_of(linear, set.cols);
    const RoundedMatrix rounded = solver.round(weight, linear.rows, factor ? &*factor : nullptr);
    const quantize::QuantizedMatrix& chosen = rounded.chosen;
    if (chosen.clipped_scales > 0)
      throw Error(ExitCode::model, linear.name + ".weight",
                  fmt::format("needs {} scales that are too large for f16", chosen.clipped_scales),
                  "Take more --bits, or check the weights with `ropewalk inspect --verify`");
    if (const size_t count = chosen.subnormal_scales(); count > 0)
      warn(fmt::format("{}.weight: {} scales are below 2^-14, where f16 has fewer than 11 bits",
                       linear.name, count));
    MatrixReport report;
    report.name = linear.name;
    report.nearest = rounded.nearest_error;
    report.error = rounded.error;
    report.damp = factor ? factor->damp : 0;
    report.dead = dead_count;
    report.clipped_scales = chosen.clipped_scales;
    report.rounded = !rounded.solved;
    const std::string check = output_->write(linear.name, quantize::pack(chosen, settings.zeros));
    report.seconds = seconds_since(start);
    matrices.push_back({{"name", report.name},
                        {"error", report.error},
                        {"rtn_error", report.nearest},
                        {"method", report.rounded ? "rtn" : "gptq"},
                        {"damp", report.damp},
                        {"dead_columns", report.dead},
                        {"check", check}});
    const double begin = share(index), end = share(index + 1);
    job_.report(report, begin + (end - begin) * static_cast<double>(i + 1) /
                                    static_cast<double>(set.linears.size()));
  }
  return matrices;
}

Json QuantizeRun::matrices() const {
  Json all = Json::array();
  for (const Json& entry : journal_->entries()) {
    if (!entry.contains("matrices")) continue;
    for (Json matrix : entry["matrices"]) {
      matrix.erase("check");
      all.push_back(std::move(matrix));
    }
  }
  return all;
}

void QuantizeRun::finish() {
  folder_->commit();
  std::error_code ignored;
  for (const char* name : kActivations) fs::remove(path_ / name, ignored);
  for (const char* name : kDenseActivations) fs::remove(path_ / name, ignored);
  fs::remove(path_ / kJournal, ignored);
}

}  // namespace ropewalk
