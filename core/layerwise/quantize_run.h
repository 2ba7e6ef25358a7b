// quantize_run.h — quantises a model set by set: each sees what the quantised ones before compute.
//
//   texts -> A | q k v | B | o | C | gate up | D | down | E ...
//
// Without true_sequential the sets of a layer see what its dense weights compute, and the layer
// runs once more with the quantised ones. With asymmetric_calibration the texts also run through
// the dense model, whose values at the same cut say what a set's outputs should be.
//
// A part of the model runs all texts from one set's inputs to the next's; the inputs at a cut are
// in a file, or in the device's memory. After a set: its tensors are written and flushed, the part
// behind it runs with them as the ordinary reader reads them, the values at the next cut are
// written, and one line goes into the journal. A run that is killed anywhere goes on behind the
// last line, with the same bytes; values that were in the device's memory are computed again.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/adapter/merged_checkpoint.h"
#include "core/json/json.h"
#include "core/layerwise/activations.h"
#include "core/layerwise/adapted_weights.h"
#include "core/layerwise/linear_sets.h"
#include "core/layerwise/model_part.h"
#include "core/layerwise/quantized_output.h"
#include "core/layerwise/set_solver.h"
#include "core/quantize/journal.h"
#include "core/quantize/solve.h"

namespace ropewalk {

enum class QuantizeMethod : uint8_t {
  gptq,
  nearest,  // every weight to its nearest code
};

struct MatrixReport {
  std::string name;
  double error, nearest;  // relative_errors() of the result, and of rounding to the nearest code
  double damp;
  uint32_t dead;            // inputs that are always 0
  uint32_t clipped_scales;  // too large for f16
  bool rounded;             // to the nearest code, asked for or because H could not be factorised
  double seconds;
};

struct QuantizeJob {
  const Checkpoint* base;
  const LayerDevice* on;
  const std::vector<std::vector<int32_t>>* texts;
  quantize::Settings settings;
  QuantizeMethod method = QuantizeMethod::gptq;
  std::vector<std::string> skip = {};  // patterns of layers that stay dense
  bool true_sequential = true;  // else all sets of a layer see what its dense weights compute
  abi::QuantizeSolver* solver = nullptr;  // that of the device; nullptr: the host solves
  // Of the device's memory, for the values between the parts of the model. Where that is too little
  // they are in files. REQUIRES: a solver, unless 0.
  uint64_t device_bytes = 0;
  bool asymmetric_calibration = false;  // aim at what the dense model computes (pull.h)
  // The layers see what the model computes with this adapter beside it; what is quantised, and
  // written, is the base alone. Its adapter may be nullptr.
  ScaledAdapter beside = {nullptr};
  uint64_t shard_bytes;
  Json fingerprint;  // what else the bytes depend on
  quantize::Start start = quantize::Start::resume;
  // `done` is the share of the whole work, 0 to 1.
  std::function<void(const MatrixReport& matrix, double done)> report;
  // Called often; may throw to stop.
  std::function<void()> tick;
};

// What a run takes.
struct QuantizePlan {
  uint64_t model_bytes;       // on the disk, and stay there
  uint64_t activation_bytes;  // on the disk while it runs
  uint64_t device_bytes;      // of the device's memory, for values between the parts
  uint64_t host_bytes;        // of memory, beside the device's
  double flop;                // of what is left
};

class QuantizeRun {
 public:
  // Makes or opens the folder, takes the room on the disk and the journal's lock. Throws Error:
  // usage where the folder holds something else, where another run holds it or has other settings,
  // or where a shape does not fit the settings; model for a quantised base; output for a full disk.
  // REQUIRES: what the job points to outlives this.
  QuantizeRun(const QuantizeJob& job, const std::filesystem::path& folder);

  // The rest of the model's files are to be added here before finish(), config.json last.
  OutputFolder& folder() { return *folder_; }
  double done() const;  // share of the work that an earlier run did
  QuantizePlan plan() const;

  // Quantises what is left. Throws Error: model for a bad base or a damaged earlier run, non_finite
  // where a value overflows, output; and what tick() throws.
  void run();
  // An object for each matrix, in order. The same for a run in one piece or in many.
  Json matrices() const;
  // Gives the files their names, and removes the run's own.
  void finish();

 private:
  size_t finished() const;  // sets
  void verify() const;
  // What a run that goes on has where set finished() begins.
  void recall();
  // Whether the values there are those that the journal's run left.
  bool finds_values() const;
  bool begins_layer(size_t set) const;
  size_t first_of_layer(size_t set) const;
  size_t source_of(size_t set) const;  // where the part that ends at `set` begins
  void forward(size_t set);            // that part
  std::unique_ptr<AdaptedWeights> beside(const WeightSource* packed,
                                         const std::set<std::string>& layers) const;
  struct Leg;
  void run_leg(const Leg& leg);
  void settle(size_t set, Json& entry) const;
  Json solve_set(const LinearSet& set);
  // Shows the solver what the layers of a set read on all texts. Returns how far that is from the
  // dense model's, where it is wanted.
  std::optional<quantize::Shift> show_inputs(const LinearSet& set, SetSolver& solver) const;
  std::vector<float> weight_of(const Linear& linear, uint32_t cols) const;
  size_t file_of(size_t set) const;
  Activations& at(size_t set) { return *files_[file_of(set)]; }
  const Activations& at(size_t set) const { return *files_[file_of(set)]; }
  Activations& dense_at(size_t set) const { return *dense_files_[set % 2]; }
  double flop_of_sets(size_t first, size_t last) const;
  double share(size_t sets) const;

  QuantizeJob job_;
  std::filesystem::path path_;
  ModelOptions options_;
  std::unique_ptr<WeightSource> base_weights_;
  std::vector<LinearSet> sets_;
  std::vector<std::vector<LiveValue>> live_;  // where each set begins
  std::unique_ptr<quantize::Journal> journal_;
  std::unique_ptr<OutputFolder> folder_;
  std::unique_ptr<QuantizedOutput> output_;
  // Where an even or odd set begins; without true_sequential also where an even or odd layer does,
  // which runs again when all of it is quantised.
  std::vector<std::unique_ptr<Activations>> files_;
  // What the dense model has where an even or odd set begins; none without asymmetric_calibration.
  std::vector<std::unique_ptr<Activations>> dense_files_;
  uint64_t activation_bytes_ = 0;
  bool checked_ = false;  // the device's solver, on this run's first set
};

}  // namespace ropewalk
