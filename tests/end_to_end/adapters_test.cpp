// Adapters beside a model's weights: against PEFT over the dequantised weights (tools/adapters),
// and against the graph whose permutes stay, on models with act-order.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <map>

#include "core/adapter/run_time.h"
#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/weight_room.h"
#include "core/engine/run_adapters.h"
#include "core/exec/cached_text.h"
#include "core/model/synthetic.h"
#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {
namespace {

const std::string kAdapters = RW_FIXTURES "/adapters/";
constexpr const char* kLinears[] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                    "gate_proj", "up_proj", "down_proj"};

// Those modules of another adapter that end so, scaled.
class Alone final : public AdapterSource {
 public:
  Alone(std::shared_ptr<const AdapterSource> of, std::string ending, float scale)
      : of_(std::move(of)), ending_(std::move(ending)), scale_(scale) {}

  std::vector<std::string> modules() const override {
    std::vector<std::string> names = of_->modules();
    std::erase_if(names, [&](const std::string& name) { return !name.ends_with(ending_); });
    return names;
  }
  uint32_t max_rank() const override { return of_->max_rank(); }
  std::vector<std::string> modules_with_vectors() const override { return {}; }
  std::optional<LowRankMatrices> read(std::string_view module) const override {
    std::optional<LowRankMatrices> matrices;
    if (module.ends_with(ending_)) matrices = of_->read(module);
    if (matrices)
      for (float& value : matrices->b) value *= scale_;
    return matrices;
  }

 private:
  const std::shared_ptr<const AdapterSource> of_;
  const std::string ending_;
  const float scale_;
};

std::vector<float> wave(size_t count, float size, size_t phase) {
  std::vector<float> values;
  for (size_t i = 0; i < count; ++i)
    values.push_back(size * std::sin(static_cast<float>(i * 7 + i * i % 31 + phase)));
  return values;
}

// Another adapter with a gain and a shift of every output.
class Stretched final : public AdapterSource {
 public:
  explicit Stretched(std::shared_ptr<const AdapterSource> of) : of_(std::move(of)) {}

  std::vector<std::string> modules() const override { return of_->modules(); }
  std::vector<std::string> modules_with_vectors() const override { return of_->modules(); }
  uint32_t max_rank() const override { return of_->max_rank(); }
  std::optional<LowRankMatrices> read(std::string_view module) const override {
    std::optional<LowRankMatrices> matrices = of_->read(module);
    if (!matrices) return matrices;
    matrices->gain = wave(matrices->cols, 0.2f, module.size());
    matrices->shift = wave(matrices->cols, 0.1f, module.size() + 3);
    return matrices;
  }

 private:
  const std::shared_ptr<const AdapterSource> of_;
};

RuntimeSettings mini_settings() {
  RuntimeSettings settings;
  settings.config = load_config({std::string(RW_SOURCE_DIR) + "/configs/airophin-mini.yaml",
                                 {"backend=cpu", "context.kv_cache=f32"}});
  settings.max_wanted = 64;
  return settings;
}

std::vector<double> scores(const Checkpoint& base, RuntimeSettings settings,
                           const std::vector<int32_t>& ids) {
  Registry registry = make_registry(settings.config);
  Runtime runtime(registry, CheckpointWeights(base), settings);
  return score(runtime, ids, nullptr).logprobs;
}

class OverQuantised : public testing::TestWithParam<const char*> {};

// One after another in one model: the first two whole, the others on one kind of layer alone.
TEST_P(OverQuantised, PredictsWhatPeftPredicts) {
  const std::string file = kAdapters + "gptq/expected.json", name = GetParam();
  const Json expected = parse_json(read_text(file), {file, ExitCode::model});
  const auto base =
      Checkpoint::open(std::filesystem::path(RW_SOURCE_DIR) / expected["base"], config_families());
  const bool alone = std::ranges::find(kLinears, name) != std::end(kLinears);
  RuntimeSettings settings = mini_settings();
  settings.config.adapter = name;
  if (name != "none") {
    auto source = open_for_run(kAdapters + (alone ? "rslora-patterns" : name), 1, *base);
    if (alone) source = std::make_shared<Alone>(source, name, 20.0f);
    settings.adapters = {{name, source}};
  }
  const std::vector<double> found =
      scores(*base, settings, expected["ids"].get<std::vector<int32_t>>());
  const auto truth = expected[name].get<std::vector<double>>();
  const auto without = expected["none"].get<std::vector<double>>();
  // The matrices are rounded to f16: 2^-11 of the change that they make, here at most 3.6.
  EXPECT_LT(max_difference(found, truth), 2e-3);
  EXPECT_EQ(max_difference(found, without) > 3e-2, name != "none");
}

INSTANTIATE_TEST_SUITE_P(All, OverQuantised,
                         testing::Values("none", "lora", "rslora-patterns", "dora", "dora-linears",
                                         "lora-bias", "q_proj", "k_proj", "v_proj", "o_proj",
                                         "gate_proj", "up_proj", "down_proj"),
                         [](const auto& row) {
                           std::string name = row.param;
                           std::erase(name, '-');
                           return name;
                         });

class OverItsBase : public testing::TestWithParam<const char*> {};

// Over the base that PEFT trained it on: without biases, with biases, with act-order.
TEST_P(OverItsBase, PredictsWhatPeftPredicts) {
  const std::string name = GetParam(), file = kAdapters + name + "/expected.json";
  const Json expected = parse_json(read_text(file), {file, ExitCode::model});
  const std::filesystem::path folder = expected["base"].get<std::string>();
  const auto base =
      Checkpoint::open(std::filesystem::path(RW_SOURCE_DIR) / folder, config_families());
  const auto ids = expected["ids"].get<std::vector<int32_t>>();
  const std::string variant = folder.filename();
  const bool mini = folder.parent_path() == "models";
  RuntimeSettings settings =
      mini ? mini_settings() : fixture_settings(fixture_config(variant, expected_of(variant)));
  const std::vector<double> without = scores(*base, settings, ids);
  settings.config.adapter = name;
  settings.adapters = {{name, open_for_run(kAdapters + name, 1, *base)}};
  const std::vector<double> found = scores(*base, settings, ids);
  EXPECT_LT(max_difference(found, expected["logprobs"].get<std::vector<double>>()), 2e-3);
  EXPECT_GT(max_difference(found, without), 3e-2);
}

INSTANTIATE_TEST_SUITE_P(All, OverItsBase,
                         testing::Values("lora", "dora", "dora-linears", "bias", "dora-bias",
                                         "lora-bias", "dora-gptq-bias"),
                         [](const auto& row) {
                           std::string name = row.param;
                           std::erase(name, '-');
                           return name;
                         });

class FoldedAdapters : public testing::TestWithParam<const char*> {};

// Each kind of layer alone: orders of q, k and v apart, orders that fold away and orders that stay.
TEST_P(FoldedAdapters, ComputeWhatUnfoldedOnesDo) {
  const std::string variant = GetParam();
  const Json expected = expected_of(variant);
  const auto ids = expected["ids"].get<std::vector<int32_t>>();
  const auto base = Checkpoint::open(models_folder() / variant, config_families());
  RuntimeSettings settings = fixture_settings(fixture_config(variant, expected));
  const std::vector<double> plain = scores(*base, settings, ids);
  settings.config.adapter = "alone";
  const auto random = make_synthetic_adapter(base->config(), 5, 1);
  for (const char* module : kLinears) {
    const auto alone = std::make_shared<Alone>(random, module, 1.0f);
    std::vector<double> low_rank;
    for (const std::shared_ptr<const AdapterSource>& adapter :
         {std::shared_ptr<const AdapterSource>(alone),
          std::shared_ptr<const AdapterSource>(std::make_shared<Stretched>(alone))}) {
      settings.adapters = {{"alone", adapter}};
      settings.folding = Folding::fold;
      const std::vector<double> folded = scores(*base, settings, ids);
      settings.folding = Folding::keep_permutes;
      EXPECT_EQ(folded, scores(*base, settings, ids)) << module;
      EXPECT_GT(max_difference(folded, low_rank.empty() ? plain : low_rank), 1e-3) << module;
      low_rank = folded;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, FoldedAdapters,
                         testing::Values("gptq-b4-g32-act", "gptq-b4-g128-act-gqa",
                                         "gptq-b4-act-apart", "qwen2-gptq-act"),
                         [](const auto& row) {
                           std::string name = row.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

// Matrices of every linear layer that a checkpoint stores, of rank 5, with gains and shifts.
class Waves final : public AdapterSource {
 public:
  explicit Waves(const Checkpoint& base) {
    for (const TensorInfo& tensor : base.tensors())
      if (tensor.name.ends_with("_proj.weight") || tensor.name == "lm_head.weight")
        shapes_[tensor.name.substr(0, tensor.name.rfind('.'))] = tensor.shape;
  }

  std::vector<std::string> modules() const override {
    std::vector<std::string> names;
    for (const auto& [name, shape] : shapes_) names.push_back(name);
    return names;
  }
  std::vector<std::string> modules_with_vectors() const override { return modules(); }
  uint32_t max_rank() const override { return 5; }
  std::optional<LowRankMatrices> read(std::string_view module) const override {
    const auto found = shapes_.find(module);
    if (found == shapes_.end()) return std::nullopt;
    const std::vector<uint64_t>& shape = found->second;
    const float size = 1 / std::sqrt(static_cast<float>(shape[1]));
    return LowRankMatrices{.rank = 5,
                           .rows = static_cast<uint32_t>(shape[1]),
                           .cols = static_cast<uint32_t>(shape[0]),
                           .a = wave(5 * shape[1], size, module.size()),
                           .b = wave(5 * shape[0], 0.1f, module.size()),
                           .gain = wave(shape[0], 0.2f, module.size() + 1),
                           .shift = wave(shape[0], 0.05f, module.size() + 2)};
  }

 private:
  std::map<std::string, std::vector<uint64_t>, std::less<>> shapes_;
};

// The same model with an adapter in its weights, in f32.
class InTheWeights final : public WeightSource {
 public:
  InTheWeights(const WeightSource& base, const AdapterSource& adapter)
      : base_(base), adapter_(adapter) {}

  const ModelConfig& config() const override { return base_.config(); }
  WeightInfo describe(std::string_view name, abi::WeightUse use, uint32_t rows,
                      uint32_t cols) const override {
    WeightInfo info = base_.describe(name, use, rows, cols);
    if (use != abi::WeightUse::matmul) return info;
    info.shape.dtype = abi::DType::f32;
    info.has_bias = info.has_bias || adapter_.read(info.stored.name);
    return info;
  }
  abi::Weight load(const WeightInfo& info, const Columns& columns,
                   std::span<std::byte> room) const override {
    if (info.shape.use != abi::WeightUse::matmul) return base_.load(info, columns, room);
    const uint32_t rows = info.shape.rows, cols = info.shape.cols;
    EXPECT_EQ(columns.count, cols) << "small weights come whole";
    const WeightInfo plain = base_.describe(info.name, abi::WeightUse::matmul, rows, cols);
    const bool bf16 = plain.shape.dtype == abi::DType::bf16;
    std::vector<std::byte> bytes(room_bytes(plain.shape, cols));
    std::vector<float> values = to_floats(bf16 ? StoredType::bf16 : StoredType::f16,
                                          base_.load(plain, columns, bytes).dense);
    const auto adapted = adapter_.read(plain.stored.name);  // not a tied head
    const LowRankMatrices change = adapted.value_or(LowRankMatrices{});
    for (uint32_t n = 0; n < cols && adapted; ++n) {
      const size_t output = plain.stored.first + n;
      for (uint32_t k = 0; k < rows; ++k) {
        float& value = values[size_t{n} * rows + k];
        value *= 1 + change.gain[output];
        for (uint32_t i = 0; i < change.rank; ++i)
          value += change.b[output * change.rank + i] * change.a[size_t{i} * rows + k];
      }
    }
    abi::Weight weight = info.shape;
    set_columns(weight, columns);
    const WeightRoom to = lay_out(weight, room);
    std::memcpy(to.dense.data(), values.data(), values.size() * sizeof(float));
    return weight;
  }
  std::vector<float> load_bias(const WeightInfo& info,
                               std::span<const uint32_t> order) const override {
    const WeightInfo plain =
        base_.describe(info.name, abi::WeightUse::matmul, info.shape.rows, info.shape.cols);
    std::vector<float> bias = base_.load_bias(plain, {});
    if (const auto change = adapter_.read(plain.stored.name)) {
      bias.resize(info.shape.cols);
      for (size_t n = 0; n < bias.size(); ++n)
        bias[n] = bias[n] * (1 + change->gain[plain.stored.first + n]) +
                  change->shift[plain.stored.first + n];
    }
    std::vector<float> ordered = bias;
    for (size_t n = 0; n < order.size(); ++n) ordered[n] = bias[order[n]];
    return ordered;
  }
  std::vector<float> load_vector(std::string_view name, uint32_t size) const override {
    return base_.load_vector(name, size);
  }

 private:
  const WeightSource& base_;
  const AdapterSource& adapter_;
};

class BesideTheWeights : public testing::TestWithParam<const char*> {};

// Layers that are stored as one, heads that are rotated in part, biases, norms of heads, lm_head.
TEST_P(BesideTheWeights, IsAsInTheWeights) {
  const std::string variant = GetParam();
  const Json expected = expected_of(variant);
  const auto ids = expected["ids"].get<std::vector<int32_t>>();
  const auto base = Checkpoint::open(models_folder() / variant, config_families());
  RuntimeSettings settings = fixture_settings(fixture_config(variant, expected));
  const std::vector<double> without = scores(*base, settings, ids);
  const auto waves = std::make_shared<Waves>(*base);
  Registry registry = make_registry(settings.config);
  const CheckpointWeights weights(*base);
  Runtime merged(registry, InTheWeights(weights, *waves), settings);
  settings.config.adapter = "waves";
  settings.adapters = {{"waves", waves}};
  const std::vector<double> beside = scores(*base, settings, ids);
  EXPECT_LT(max_difference(beside, score(merged, ids, nullptr).logprobs), 2e-3);
  EXPECT_GT(max_difference(beside, without), 3e-2);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, BesideTheWeights,
                         testing::Values("dense-f16", "dense-odd-sizes", "phi3-window",
                                         "phi3-longrope-partial", "qwen2-bias", "qwen3-head-dim",
                                         "gemma2-caps"),
                         [](const auto& row) {
                           std::string name = row.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

// Adapters give way to each other and come back with the same bits; a step without any computes
// what a model without adapters does.
TEST(AdaptersAtRunTime, TakeTurnsInASlot) {
  const auto base = Checkpoint::open(RW_SOURCE_DIR "/models/airophin-mini", config_families());
  RuntimeSettings settings = mini_settings();
  const std::vector<int32_t> ids = {1, 17, 200, 3, 99, 1000, 5, 5, 64};
  const std::vector<double> plain = scores(*base, settings, ids);
  for (uint32_t i = 0; i < 3; ++i)
    settings.adapters.push_back(
        {"a" + std::to_string(i), make_synthetic_adapter(base->config(), 8 << i, i)});
  // The slot that the others take has a gain and a shift of before.
  settings.adapters[1].source = std::make_shared<Stretched>(settings.adapters[1].source);
  std::vector<std::vector<double>> want;
  Registry registry = make_registry(settings.config);
  Runtime wide(registry, CheckpointWeights(*base), settings);
  settings.config.adapter_slots = 1;
  Runtime narrow(registry, CheckpointWeights(*base), settings);
  EXPECT_EQ(narrow.executor().adapter_slots(), 1u);
  EXPECT_LT(narrow.model().plan().adapters, wide.model().plan().adapters / 2);
  const auto with = [&](Runtime& runtime, uint32_t adapter) {
    runtime.cache().set_default_adapter(adapter);
    return score(runtime, ids, nullptr).logprobs;
  };
  EXPECT_EQ(with(wide, abi::kNoAdapter), plain);
  for (uint32_t i = 0; i < 3; ++i) {
    want.push_back(with(wide, i));
    EXPECT_GT(max_difference(want[i], plain), 1e-3);
  }
  for (const uint32_t i : {2u, 0u, 1u, 0u, 2u}) EXPECT_EQ(with(narrow, i), want[i]) << i;
  EXPECT_EQ(with(narrow, abi::kNoAdapter), plain);
}

// One that needs no gain and no shift computes the same bits where another one does, whose slot it
// takes, also in the layers that it leaves alone.
TEST(AdaptersAtRunTime, VectorsOfOneChangeNothingOfAnother) {
  const auto base = Checkpoint::open(RW_SOURCE_DIR "/models/airophin-mini", config_families());
  RuntimeSettings settings = mini_settings();
  const std::vector<int32_t> ids = {1, 17, 200, 3, 99, 1000, 5, 5, 64};
  const auto random = make_synthetic_adapter(base->config(), 8, 1);
  const auto plain = std::make_shared<Alone>(random, "v_proj", 1.0f);
  settings.config.adapter = "plain";
  settings.adapters = {{"plain", plain}};
  const std::vector<double> want = scores(*base, settings, ids);
  settings.config.adapter_slots = 1;
  settings.adapters.push_back({"stretched", std::make_shared<Stretched>(random)});
  Registry registry = make_registry(settings.config);
  Runtime runtime(registry, CheckpointWeights(*base), settings);
  for (const uint32_t adapter : {0u, 1u, 0u}) {
    runtime.cache().set_default_adapter(adapter);
    EXPECT_EQ(score(runtime, ids, nullptr).logprobs == want, adapter == 0) << adapter;
  }
}

// Three adapters in pairs on two slots: the one that comes takes the slot of the one that is not in
// the step.
TEST(AdaptersAtRunTime, NoneGivesWayToAnotherOfItsStep) {
  const auto base = Checkpoint::open(RW_SOURCE_DIR "/models/airophin-mini", config_families());
  RuntimeSettings settings = mini_settings();
  settings.max_sequences = 2;
  settings.config.adapter_slots = 2;
  for (uint32_t i = 0; i < 3; ++i)
    settings.adapters.push_back(
        {"a" + std::to_string(i), make_synthetic_adapter(base->config(), 8, i)});
  settings.adapters[2].source = std::make_shared<Stretched>(settings.adapters[2].source);
  Registry registry = make_registry(settings.config);
  Runtime runtime(registry, CheckpointWeights(*base), settings);
  const auto logits_of = [&](const std::vector<uint32_t>& adapters) {
    std::deque<CachedText> texts;
    std::vector<Chunk> chunks;
    for (const uint32_t adapter : adapters) {
      texts.emplace_back(runtime.cache(), runtime.rope_tables());
      texts.back().set_adapter(adapter);
      texts.back().append(std::vector<int32_t>{1, 17, 200});
      chunks.push_back(texts.back().next(8));
    }
    std::vector<std::vector<float>> logits;
    for (const ChunkResult& result : runtime.executor().run(chunks))
      logits.emplace_back(result.value().begin(), result.value().end());
    return logits;
  };
  std::vector<std::vector<float>> alone;
  for (const uint32_t adapter : {0u, 1u, 2u}) alone.push_back(logits_of({adapter}).front());
  EXPECT_NE(alone[0], alone[1]);
  EXPECT_NE(alone[1], alone[2]);
  for (const auto& [a, b] :
       std::vector<std::pair<uint32_t, uint32_t>>{{0, 1}, {1, 2}, {2, 0}, {0, 1}, {2, 1}}) {
    const auto both = logits_of({a, b});
    EXPECT_EQ(both[0], alone[a]) << a << " beside " << b;
    EXPECT_EQ(both[1], alone[b]) << b << " beside " << a;
  }
}

TEST(AdaptersAtRunTime, MoreThanTheSlotsInAStepAreRefused) {
  const auto base = Checkpoint::open(RW_SOURCE_DIR "/models/airophin-mini", config_families());
  RuntimeSettings settings = mini_settings();
  settings.max_sequences = 2;
  settings.config.adapter_slots = 1;
  settings.adapters = {{"a", make_synthetic_adapter(base->config(), 4, 1)},
                       {"b", make_synthetic_adapter(base->config(), 4, 2)}};
  Registry registry = make_registry(settings.config);
  Runtime runtime(registry, CheckpointWeights(*base), settings);
  CachedText a(runtime.cache(), runtime.rope_tables()), b(runtime.cache(), runtime.rope_tables());
  a.set_adapter(0);
  b.set_adapter(1);
  for (CachedText* text : {&a, &b}) text->append(std::vector<int32_t>{1, 2});
  const std::vector<Chunk> chunks = {a.next(8), b.next(8)};
  try {
    runtime.executor().run(chunks);
    FAIL() << "two adapters fitted one slot";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::limit);
    EXPECT_STREQ(error.what(),
                 "adapter_slots: a step needs 2 adapters, there are 1 slots. Raise adapter_slots.");
  }
  EXPECT_EQ(a.cached(), 0u);
}

struct Refused {
  const char* adapter;
  const char* what;
};

class RefusedAtRunTime : public testing::TestWithParam<Refused> {};

TEST_P(RefusedAtRunTime, ByName) {
  const std::pair<const char*, const char*> bases[] = {
      {"/models/airophin-mini-f16", "Merge it with `ropewalk adapter merge`."},
      {"/models/airophin-mini",
       "Merge it into the unquantised model with `ropewalk adapter merge`, then quantise the "
       "result "
       "with `ropewalk quantize`."}};
  for (const auto& [folder, advice] : bases) {
    const auto base = Checkpoint::open(std::string(RW_SOURCE_DIR) + folder, config_families());
    try {
      open_for_run(kAdapters + GetParam().adapter, 1, *base);
      FAIL() << "it was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::model);
      EXPECT_EQ(error.what(), kAdapters + GetParam().adapter + ": " + GetParam().what +
                                  "; a running model takes changes of linear layers and of their "
                                  "biases. " +
                                  advice);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedAtRunTime,
    testing::Values(Refused{"tables", "brings model.layers.0.input_layernorm.weight whole"},
                    Refused{"tokens", "brings rows of model.embed_tokens"}),
    [](const auto& row) { return std::string(row.param.adapter); });

// As for a merge: a factor of the change is none of the weights' lengths or of whole biases.
TEST(AdaptersAtRunTime, DoraAndWholeBiasesCannotBeScaled) {
  for (const auto& [adapter, folder, what] :
       {std::tuple{"dora", "/models/airophin-mini-f16", "is a DoRA, found the scale 0.5"},
        std::tuple{"bias", "/tests/fixtures/models/dense-bias",
                   "brings whole tensors, found the scale 0.5"}}) {
    const auto base = Checkpoint::open(std::string(RW_SOURCE_DIR) + folder, config_families());
    try {
      open_for_run(kAdapters + adapter, 0.5, *base);
      FAIL() << adapter << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace ropewalk::test
