// What the options of the CUDA backend choose, and what they refuse, on the host.
#include "backends/cuda/device/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "backends/cuda/device/tuning_names.h"
#include "backends/cuda/gptq/crossovers.h"
#include "backends/cuda/gptq/division.h"
#include "backends/cuda/gptq/large_batch/slice_columns.h"
#include "backends/cuda/ops/attention_splits.h"

namespace ropewalk::cuda {
namespace {

using abi::DType;
using ::testing::HasSubstr;

// With the defaults of the other options, as the host gives them.
Options options_with(const std::map<std::string, std::string>& given) {
  std::vector<abi::OptionValue> values;
  for (const abi::OptionInfo& option : kOptions) {
    const auto found = given.find(option.name);
    values.push_back({option.name, option.default_value});
    if (found != given.end()) values.back().value = found->second;
  }
  return Options(abi::Options({values, nullptr}));
}

Target target_with(const std::map<std::string, std::string>& given) {
  return {132, 50 << 20, 90, 227 << 10, LargeBatchLibrary::cublas, options_with(given).choices};
}
Target tuned(const std::string& tune) { return target_with({{"tune", tune}}); }

std::string refusal(const std::map<std::string, std::string>& given) {
  try {
    options_with(given);
    return "";
  } catch (const abi::Failure& failure) {
    EXPECT_EQ(failure.code(), abi::StatusCode::invalid_argument);
    return failure.what();
  }
}

TEST(CudaOptions, MatvecForcesAPackedKernelBelowCublas) {
  const Target target = target_with({{"matvec", "tiles16"}});
  for (const uint32_t rows : {1u, 8u, 32u, 128u})
    EXPECT_EQ(kernel_for(DType::gptq, rows, target), MatmulKernel::tiles_of_16);
  EXPECT_EQ(kernel_for(DType::gptq, 129, target), MatmulKernel::cublas);
  EXPECT_EQ(kernel_for(DType::f16, 1, target), MatmulKernel::vector);
  Target without = target;
  without.large_batch = LargeBatchLibrary::none;
  EXPECT_EQ(kernel_for(DType::gptq, 512, without), MatmulKernel::tiles_of_16);
}

TEST(CudaOptions, LogitsMayStayOnTheHost) {
  EXPECT_EQ(options_with({}).logits, LogitsOn::device);
  EXPECT_EQ(options_with({{"logits", "host"}}).logits, LogitsOn::host);
  EXPECT_THAT(refusal({{"logits", "disk"}}),
              HasSubstr("option logits: found disk, expected one of device host"));
}

TEST(CudaOptions, AttentionForcesAKernelWhereItCanRun) {
  constexpr auto kRotation = abi::KeyRotation::before_cache;
  constexpr AttentionShape f16{DType::f16, 128, kRotation}, wide{DType::f16, 256, kRotation},
      i8{DType::i8, 24, kRotation};
  const auto kernels = [](const char* name, uint32_t rows, const AttentionShape& shape) {
    const AttentionKernels found =
        attention_kernels(rows, shape, target_with({{"attention", name}}).choices);
    return std::string(found.wgmma   ? "wgmma "
                       : found.tiles ? "tiles "
                                     : "") +
           (found.split ? "split" : "plain");
  };
  EXPECT_EQ(kernels("auto", 1, f16), "split");
  EXPECT_EQ(kernels("auto", 64, f16), "tiles split");
  EXPECT_EQ(kernels("auto", 64, i8), "tiles plain");
  EXPECT_EQ(kernels("auto", 64, wide), "plain");
  EXPECT_EQ(kernels("split", 64, f16), "split");
  EXPECT_EQ(kernels("split", 64, i8), "plain");
  EXPECT_EQ(kernels("plain", 64, f16), "plain");
  EXPECT_EQ(kernels("wgmma", 64, f16), "wgmma split");
  EXPECT_EQ(kernels("wgmma", 1, f16), "split");
  EXPECT_EQ(kernels("wgmma", 64, wide), "plain");
}

// The kernel of a product, the runs of its K and those of a row's keys are the same for any rows.
TEST(CudaOptions, BatchInvariantLooksAtNoRows) {
  const Target target = target_with({{"batch-invariant", "true"}});
  EXPECT_FALSE(target_with({}).batch_invariant());
  const gptq::Layout l{5120, 5120, 4, 32, 1};
  const auto division = [&](uint32_t rows) {
    return gptq::divide(l, gptq::column_tiles(l), rows, 8, target);
  };
  for (const uint32_t rows : {1u, 8u, 9u, 64u, 129u, 512u}) {
    SCOPED_TRACE(rows);
    EXPECT_EQ(kernel_for(DType::gptq, rows, target), MatmulKernel::tiles_of_8);
    for (const DType dense : {DType::f16, DType::bf16, DType::f32})
      EXPECT_EQ(kernel_for(dense, rows, target), MatmulKernel::vector);
    EXPECT_EQ(division(rows).blocks_per_split, division(1).blocks_per_split);
    EXPECT_GE(division(rows).row_blocks * 8, rows);
    EXPECT_FALSE(
        attention_kernels(rows, {DType::f16, 128, abi::KeyRotation::before_cache}, target.choices)
            .tiles);
  }
  EXPECT_GT(division(1).splits, 1u);
  EXPECT_EQ(kernel_for(DType::gptq, 512,
                       target_with({{"batch-invariant", "true"}, {"matvec", "tiles16"}})),
            MatmulKernel::tiles_of_16);
}

TEST(CudaOptions, LargeBatchesGoToCublasUnlessWgmmaIsAskedFor) {
  EXPECT_EQ(options_with({}).choices.large_batch, LargeBatchChoice::cublas);
  EXPECT_EQ(options_with({{"large-batch", "wgmma"}}).choices.large_batch, LargeBatchChoice::wgmma);
}

TEST(CudaOptions, LargeBatchesPassF16OnUnlessTheirKernelsAreSeparate) {
  EXPECT_EQ(options_with({}).choices.epilogues, Epilogues::fused);
  EXPECT_EQ(options_with({{"epilogues", "separate"}}).choices.epilogues, Epilogues::separate);
  EXPECT_EQ(refusal({{"epilogues", "own"}}),
            "option epilogues: found own, expected one of fused separate");
}

TEST(CudaOptions, PdlLetsKernelsStartEarly) {
  EXPECT_EQ(options_with({}).choices.early_start, EarlyStart::where_possible);
  EXPECT_EQ(options_with({{"pdl", "false"}}).choices.early_start, EarlyStart::never);
}

TEST(CudaOptions, TuneMovesWhatItNames) {
  EXPECT_EQ(kernel_for(DType::gptq, 8, tuned("")), MatmulKernel::lean);
  EXPECT_EQ(kernel_for(DType::gptq, 2, tuned("lean-rows=1")), MatmulKernel::tiles_of_8);
  EXPECT_EQ(kernel_for(DType::gptq, 2, tuned("lean-rows=0,tiles8-rows=1")),
            MatmulKernel::tiles_of_16);
  EXPECT_EQ(kernel_for(DType::gptq, 256, tuned("tiles64-rows=256")), MatmulKernel::tiles_of_64);
  EXPECT_EQ(kernel_for(DType::f16, 16, tuned("dense-rows=16")), MatmulKernel::vector);

  const gptq::Layout l{5120, 5120, 4, 32, 1};
  const auto splits = [&](const std::string& tune) {
    return gptq::divide(l, gptq::column_tiles(l), 1, 8, tuned(tune)).splits;
  };
  EXPECT_EQ(splits("splits=7"), 7u);
  EXPECT_EQ(splits("splits=512"), 160u);  // as many as there are blocks of K
  EXPECT_EQ(splits("min-blocks=160"), 1u);
  EXPECT_NE(splits("start-blocks=64"), splits(""));

  EXPECT_EQ(attention_splits(1, 256, 4, tuned("min-keys=128")), 2u);
  EXPECT_EQ(attention_splits(1, 8192, 4, tuned("start-keys=4096,min-keys=1")),
            attention_splits(1, 8192, 4, tuned("min-keys=1,start-keys=4096")));
  EXPECT_TRUE(attention_kernels(8, {DType::f16, 128, abi::KeyRotation::before_cache},
                                tuned("prompt-rows=8").choices)
                  .tiles);
  EXPECT_LT(columns_at_once({5120, 32000, 4, 32, 1}, DType::gptq, 512, tuned("slice-mib=64")),
            columns_at_once({5120, 32000, 4, 32, 1}, DType::gptq, 512, tuned("")));
}

// Each name of the table changes its own number and no other.
TEST(CudaOptions, EveryNameOfTuneIsTaken) {
  for (const TuningName& name : tuning_names()) {
    SCOPED_TRACE(name.name);
    const Tuning min = parse_tuning(std::string(name.name) + "=" + std::to_string(name.min));
    EXPECT_EQ(min.*name.value, name.min);
    for (const TuningName& other : tuning_names())
      if (other.value != name.value) {
        EXPECT_EQ(min.*other.value, Tuning{}.*other.value) << other.name;
      }
    EXPECT_GE(Tuning{}.*name.value, name.min);
    EXPECT_LE(Tuning{}.*name.value, name.max);
  }
}

TEST(CudaOptions, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(refusal({{"matvec", "tiles12"}}),
            "option matvec: found tiles12, expected one of auto tiles8 tiles16 tiles32 tiles64");
  EXPECT_EQ(refusal({{"attention", "flash"}}),
            "option attention: found flash, expected one of auto plain split wgmma");
  EXPECT_THAT(refusal({{"tune", "splits=3,warps=8"}}),
              HasSubstr("option tune: no 'warps'; there are lean-rows tiles8-rows tiles16-rows "));
  EXPECT_EQ(refusal({{"tune", "splits=many"}}),
            "option tune: splits is 'many', expected a number from 0 to 512");
  EXPECT_EQ(refusal({{"tune", "busy-blocks=0"}}),
            "option tune: busy-blocks is '0', expected a number from 1 to 16");
  EXPECT_EQ(refusal({{"tune", "splits"}}),
            "option tune: splits is '', expected a number from 0 to 512");
  EXPECT_EQ(refusal({{"tune", ""}}), "");
}

}  // namespace
}  // namespace ropewalk::cuda
