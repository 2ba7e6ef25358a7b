// An adapter's `base`: the model that was quantised.
#include <gtest/gtest.h>

#include "core/adapter/run_time.h"
#include "core/engine/run_adapters.h"
#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {
namespace {

// A DoRA's rows have the lengths of the unquantised model's, where it is given (OverItsBase holds
// those against PEFT).
TEST(AdaptersAtRunTime, ADoraStretchesByTheUnquantisedRows) {
  const std::string kDora = RW_FIXTURES "/adapters/dora";
  const std::filesystem::path models = std::string(RW_SOURCE_DIR) + "/models";
  const auto dense = Checkpoint::open(models / "airophin-mini-f16", config_families());
  const auto packed = Checkpoint::open(models / "airophin-mini", config_families());
  Config config;
  config.adapters = {{"with", kDora, 1, models / "airophin-mini-f16"}, {"without", kDora}};
  const std::vector<NamedAdapter> adapters = adapters_of(config, *packed);
  const auto truth = open_for_run(kDora, 1, *dense);
  for (const std::string& module : truth->modules()) {
    EXPECT_EQ(adapters[0].source->read(module)->gain, truth->read(module)->gain) << module;
    EXPECT_EQ(adapters[0].source->read(module)->b, truth->read(module)->b) << module;
    EXPECT_NE(adapters[1].source->read(module)->gain, truth->read(module)->gain) << module;
  }
}

// Another size, and a quantised model: its rows have no other lengths than the running one's.
TEST(AdaptersAtRunTime, TheUnquantisedModelMustBeOne) {
  const std::filesystem::path models = std::string(RW_SOURCE_DIR) + "/models";
  const auto packed = Checkpoint::open(models / "airophin-mini", config_families());
  for (const auto& [folder, what] :
       {std::pair{
            models / "airophin-mini",
            "airophin-mini: is quantised, expected the f16, bf16 or f32 model. Name the model "
            "that the running one was quantised from, or none."},
        std::pair{models_folder() / "dense-f16", "is for a matrix (192, 512)"}}) {
    Config config;
    config.adapters = {{"a", RW_FIXTURES "/adapters/dora", 1, folder}};
    try {
      adapters_of(config, *packed);
      FAIL() << folder << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::model);
      EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace ropewalk::test
