// bench: its rows and that its figures agree with each other. How fast anything is, is not tested.
#include <gmock/gmock.h>
#include <unistd.h>

#include "tests/apps/program.h"
#include "tests/apps/small_model.h"

namespace ropewalk::test {
namespace {

using ::testing::HasSubstr;

const Json* row(const Json& rows, const char* kind, int batch, int context) {
  for (const Json& candidate : rows)
    if (candidate["kind"] == kind && candidate["batch"] == batch && candidate["context"] == context)
      return &candidate;
  return nullptr;
}

// Two of five layers have two fifths of the layers' weights; embedding and lm_head stay.
TEST(Bench, TakesSomeLayersOfAShape) {
  const auto weights = [](const char* layers) {
    return run_program({"bench", "--shape", "airophin-mini", "--layers", layers, "--prompt", "16",
                        "--decode", "1", "--backend", "cpu", "--json"},
                       "")
        .json()["memory"]["weights"]
        .get<int64_t>();
  };
  const int64_t two = weights("2"), four = weights("4"), five = weights("5");
  EXPECT_EQ(four - two, 2 * (five - four));
  const Outcome outcome =
      run_program({"bench", "--shape", "airophin-mini", "--layers", "6", "--backend", "cpu"}, "");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err, "error: --layers: found 6. airophin-mini has 5.\n");
}

// With --quiet there is no note of it, so the row says it.
TEST(Bench, SaysHowManyStepsItDecoded) {
  const Outcome outcome =
      run_program({"bench", "--shape", "airophin-mini", "--layers", "1", "--prompt", "4",
                   "--decode", "400", "--backend", "cpu", "--json", "--quiet"},
                  "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  const Json json = outcome.json();
  const Json* decode = row(json["rows"], "decode", 1, 4);
  ASSERT_NE(decode, nullptr);
  EXPECT_EQ((*decode)["steps"], 256);  // half of the context
}

TEST(Bench, MeasuresARandomModel) {
  const Outcome outcome =
      run_program({"bench", "--shape", "airophin-mini", "--quant", "gptq4-g32-act", "--prompt",
                   "64,128", "--batch", "1,4", "--decode", "8", "--backend", "cpu", "--json"},
                  "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = outcome.json();
  EXPECT_THAT(json["device"].get<std::string>(), ::testing::StartsWith("cpu: "));
  EXPECT_GT(json["measured_bandwidth_gbs"].get<double>(), 0.1);
  EXPECT_GT(json["peak_host_bytes"].get<uint64_t>(), json["memory"]["weights"].get<uint64_t>());
  // What the C library knows of the cache; the weights are a few MiB.
  const bool fits = sysconf(_SC_LEVEL3_CACHE_SIZE) >= json["memory"]["weights"].get<int64_t>();
  EXPECT_EQ(json["weights_fit_cache"], fits);
  EXPECT_EQ(outcome.err.find("fit the processor's cache") != std::string::npos, fits);
  ASSERT_EQ(json["rows"].size(), 6);
  for (const int context : {64, 128}) {
    ASSERT_NE(row(json["rows"], "prefill", 1, context), nullptr);
    for (const int batch : {1, 4}) {
      const Json* decode = row(json["rows"], "decode", batch, context);
      ASSERT_NE(decode, nullptr);
      EXPECT_GT((*decode)["tokens_per_s"].get<double>(), 0);
      EXPECT_EQ((*decode)["steps"], 8);
      // 4 bits a weight and 16 + 4 for each group of 32 and column, then lm_head in f16; and keys
      // and values of 8 steps from `context` on, 5 layers of 3 heads of 64.
      const double weights =
          5.0 * (4 * 192 * 192 + 3 * 192 * 512) * (4 + 20.0 / 32) / 8 + 192.0 * 1024 * 2;
      const double cache = 5 * 2 * 3 * 64 * 2 * (context + 4.5) * batch;
      const double steps = (*decode)["tokens_per_s"].get<double>() / batch;
      const auto ideal = [&](const char* bandwidth) {
        return (weights + cache) * steps / 1e9 / json[bandwidth].get<double>();
      };
      EXPECT_NEAR((*decode)["fraction_of_ideal"].get<double>(), ideal("measured_bandwidth_gbs"),
                  1e-9);
      EXPECT_NEAR((*decode)["fraction_of_ideal_by_copy"].get<double>(), ideal("measured_copy_gbs"),
                  1e-9);
    }
  }
}

// One decode step reads the weights once, whatever the batch, and every sequence's cache: the bytes
// of a step follow from rates that are printed.
TEST(Bench, CountsTheBytesOfAStep) {
  const Outcome outcome =
      run_program({"bench", "--shape", "airophin-mini", "--quant", "f16", "--prompt", "256",
                   "--batch", "1,2", "--decode", "1", "--backend", "cpu", "--json"},
                  "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json rows = outcome.json()["rows"];
  const auto bytes = [&](int batch) {
    const Json& decode = *row(rows, "decode", batch, 256);
    return decode["gbs"].get<double>() * 1e9 * batch / decode["tokens_per_s"].get<double>();
  };
  // 5 layers of keys and values of 3 heads of 64 in f16, for 257 tokens.
  EXPECT_NEAR(bytes(2) - bytes(1), 257.0 * 5 * 2 * 3 * 64 * 2, 10);
}

TEST(Bench, TakesACheckpointAndSaysWhatItCutsDown) {
  const TemporaryFolder folder;
  const std::string config = write_small_config(folder.path(), {});
  const Outcome outcome = run_program({"bench", config, "--prompt", "512", "--json"}, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(row(outcome.json()["rows"], "decode", 1, 128), nullptr);
  EXPECT_THAT(outcome.err, HasSubstr("a prompt of 128 instead of 512"));
  const Outcome text = run_program({"bench", config, "--prompt", "16", "--decode", "2"}, "");
  EXPECT_THAT(text.out, HasSubstr("of ideal"));
}

// Five decode steps of two sequences, and one before the clock starts.
TEST(Bench, TracesItsSteps) {
  const TemporaryFolder folder;
  const std::string file = folder.path() / "trace.json";
  const Outcome outcome =
      run_program({"bench", "--shape", "airophin-mini", "--prompt", "64", "--batch", "2",
                   "--decode", "5", "--backend", "cpu", "--trace", file},
                  "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json trace = Json::parse(read_file(file));
  int decode_steps = 0;
  for (const Json& event : trace["traceEvents"])
    decode_steps += event["ph"] == "X" && event["tid"] == 1 && event["args"]["sequences"] == 2;
  EXPECT_EQ(decode_steps, 6);
}

}  // namespace
}  // namespace ropewalk::test
