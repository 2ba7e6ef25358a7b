// The CPU device's errors on wrong use, and its description of itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "core/abi/instruction_sets.h"
#include "tests/ops/harness/devices.h"
#include "tests/ops/harness/session.h"

namespace ropewalk::test {
namespace {

using abi::DType;
using abi::StatusCode;

abi::Device& cpu() { return device("cpu"); }

TEST(CpuDevice, says_what_it_is) {
  const abi::DeviceInfo& info = cpu().info();
  EXPECT_EQ(info.type, abi::DeviceType::cpu);
  EXPECT_EQ(info.activation, DType::f32);
  EXPECT_NE(info.name[0], 0);
  EXPECT_GE(info.lanes, 1u);
  EXPECT_GT(info.memory_free, 1u << 20);
  EXPECT_GE(info.memory_total, info.memory_free);
  EXPECT_STREQ(device("cpu_baseline").info().driver, "baseline");
  EXPECT_STREQ(device("cpu_baseline").info().missing, "wide vector instructions");
  EXPECT_EQ(device("cpu_single").info().lanes, 1u);
  EXPECT_EQ(cpu_device("auto", 5).info().lanes, 5u);
}

TEST(InstructionSets, the_widest_that_runs_here_is_chosen) {
  struct Kernels {
    const char* name;
  };
  const Kernels unknown{"avx1024"}, first{"baseline"}, second{"baseline"};
  const Kernels* const widest_first[] = {&unknown, &first, &second};
  EXPECT_EQ(abi::choose_kernels<Kernels>(widest_first, "auto"), &first);
  EXPECT_EQ(abi::choose_kernels<Kernels>(widest_first, "baseline"), &first);
  EXPECT_EQ(abi::choose_kernels<Kernels>(widest_first, "avx1024"), nullptr);
  EXPECT_EQ(abi::choose_kernels<Kernels>(widest_first, "avx2"), nullptr);
  for (const char* set : {"avx512_vnni", "avx512", "avx2"})
    if (abi::has_instruction_set(set)) {
      EXPECT_STREQ(cpu().info().driver, set);
      break;
    }
}

TEST(CpuDevice, allocation_beyond_memory_is_refused) {
  abi::Buffer buffer;
  const abi::Status status = cpu().allocate(abi::Arena::weights, 1ull << 60, &buffer);
  EXPECT_EQ(status.code, StatusCode::out_of_memory);
  EXPECT_TRUE(std::string(status.message)
                  .starts_with("out of host memory: 1152921504606846976 bytes asked, "))
      << status.message;
  EXPECT_EQ(buffer.id, 0u);
}

TEST(CpuDevice, buffers_are_aligned_bounded_and_gone_when_freed) {
  abi::Buffer buffer;
  ASSERT_TRUE(cpu().allocate(abi::Arena::scratch, 100, &buffer).ok());
  std::vector<std::byte> bytes(100, std::byte{7}), back(100);
  EXPECT_TRUE(cpu().write({buffer, 0, 100}, bytes).ok());
  EXPECT_TRUE(cpu().read(back, {buffer, 0, 100}).ok());
  EXPECT_EQ(back, bytes);
  const abi::Status outside = cpu().write({buffer, 1, 100}, bytes);
  EXPECT_EQ(outside.code, StatusCode::invalid_argument);
  EXPECT_STREQ(outside.message, "slice 1+100 is outside its buffer of 100 bytes");
  EXPECT_EQ(cpu().read(back, {buffer, ~0ull, 100}).code, StatusCode::invalid_argument);
  cpu().free(buffer);
  EXPECT_EQ(cpu().read(back, {buffer, 0, 100}).code, StatusCode::invalid_argument);
  cpu().free(buffer);  // a second time: nothing
}

TEST(CpuDevice, packed_sizes_follow_from_the_shape) {
  abi::Weight weight;
  weight.dtype = DType::gptq;
  weight.rows = 128;
  weight.cols = 64;
  weight.bits = 4;
  weight.group_size = 32;
  uint64_t bytes = 0;
  ASSERT_TRUE(cpu().packed_bytes(weight, &bytes).ok());
  // 64 header + 2 panels of 4 groups of (64 scales + 32 zeros + 512 codes), up to 256.
  EXPECT_EQ(bytes, 5120u);
}

TEST(CpuDevice, weight_beyond_its_place_is_refused) {
  Random random(1);
  const StoredWeight weight = random_gptq({64, 64, 4, 32, 1, DType::f16}, random);
  abi::Buffer buffer;
  ASSERT_TRUE(cpu().allocate(abi::Arena::weights, 1 << 16, &buffer).ok());
  EXPECT_TRUE(cpu().pack(weight.view(), {buffer, 0, 1 << 16}).ok());
  const abi::Status small = cpu().pack(weight.view(), {buffer, 0, 256});
  EXPECT_STREQ(small.message, "weight: the place for it is too small");
  cpu().free(buffer);
}

struct Refusals final : abi::ClaimSink {
  void claim(const abi::Claim& claim) noexcept override { reason[claim.nodes[0]] = "claimed"; }
  void refuse(uint32_t node, std::string_view why) noexcept override {
    reason[node] = std::string(why);
  }
  std::map<uint32_t, std::string> reason;
};

TEST(CpuDevice, what_no_kernel_runs_is_refused_with_the_reason) {
  std::vector<abi::Tensor> tensors(4);
  const auto set = [&](size_t i, DType dtype, std::vector<uint32_t> dims) {
    tensors[i].kind = abi::TensorKind::scratch;
    tensors[i].dtype = dtype;
    tensors[i].rank = static_cast<uint8_t>(dims.size());
    std::copy(dims.begin(), dims.end(), tensors[i].dim);
  };
  set(0, DType::f32, {abi::kRows, 64});
  set(1, DType::f16, {abi::kRows, 64});
  set(2, DType::f32, {abi::kRows, 2, 512});
  set(3, DType::f32, {abi::kRows, 2, 514});
  const uint32_t f32[] = {0}, two[] = {0, 0}, half[] = {1}, mixed[] = {0, 1};
  const uint32_t wide[] = {2}, wider[] = {3};
  const std::vector<abi::Node> nodes = {
      {"good", abi::Op::add, two, f32},       {"in", abi::Op::add, mixed, f32},
      {"out", abi::Op::add, two, half},       {"wide", abi::Op::rope, wide, wide},
      {"wider", abi::Op::rope, wider, wider}, {"unknown", abi::Op{77}, f32, f32}};
  Refusals refusals;
  ASSERT_TRUE(cpu().claim({nodes, tensors, {}}, refusals).ok());
  EXPECT_EQ(refusals.reason[0], "claimed");
  EXPECT_EQ(refusals.reason[1], "an activation that is not f32");
  EXPECT_EQ(refusals.reason[2], "an activation that is not f32");
  EXPECT_EQ(refusals.reason[3], "claimed");
  EXPECT_EQ(refusals.reason[4], "a head dimension above 512");
  EXPECT_EQ(refusals.reason[5], "an op that this module does not know");
}

// A weight that was never packed fails the program, not the process.
TEST(CpuDevice, unpacked_weight_fails_compile) {
  abi::Buffer buffer;
  ASSERT_TRUE(cpu().allocate(abi::Arena::scratch, 1 << 16, &buffer).ok());
  std::vector<abi::Tensor> tensors(3);
  tensors[0] = {"x", abi::TensorKind::scratch, DType::f32,      0, 2,
                0,   {abi::kRows, 64},         {buffer, 0, 256}};
  tensors[1] = {"w", abi::TensorKind::weight, DType::f16, 0, 2, 0, {64, 32}, {buffer, 1024, 8192}};
  tensors[2] = {"y", abi::TensorKind::scratch, DType::f32,        0, 2,
                0,   {abi::kRows, 32},         {buffer, 512, 128}};
  const uint32_t in[] = {0, 1}, out[] = {2}, first = 0;
  const abi::Node node{"matmul", abi::Op::matmul, in, out, {}};
  const abi::Graph graph{{&node, 1}, tensors, {}};
  const abi::Claim claim{{&first, 1}, {}, 0};
  abi::Program* program = nullptr;
  EXPECT_STREQ(cpu().compile({&graph, {&claim, 1}, {1, 1, 1, 1}}, &program).message,
               "w: no weight of this shape was packed here");
  cpu().free(buffer);
}

TEST(CpuDevice, has_no_extensions) {
  void* interface = nullptr;
  EXPECT_EQ(cpu().extension("warp-drive", &interface).code, StatusCode::unsupported);
}

}  // namespace
}  // namespace ropewalk::test
