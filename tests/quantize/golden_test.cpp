// The whole solver on one small matrix, bit for bit.
#include <gmock/gmock.h>

#include <numeric>
#include <string>

#include "core/quantize/errors.h"
#include "core/quantize/pack.h"
#include "core/quantize/pull.h"
#include "core/quantize/solve.h"
#include "tests/quantize/golden_matrix.h"

namespace ropewalk::test {
namespace {

using namespace quantize;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

struct Solved {
  QuantizedMatrix matrix;
  double error, nearest;
};

Settings plain_settings() {
  Settings settings;
  settings.group_size = 8;
  settings.search = Search::none;
  return settings;
}

Solved solve_golden(const Settings& settings, const Factor& factor) {
  const Hessian hessian = golden_hessian();
  const std::vector<float> weight = golden_weight();
  std::vector<float> work = weight;
  const QuantizedMatrix matrix =
      solve(work, kOutputs, factor, dead_columns(diagonal_of(hessian)), settings);
  const QuantizedMatrix nearest = round_to_nearest(weight, kOutputs, kInputs, settings);
  const std::vector<double> errors = relative_errors(weight, {&matrix, &nearest}, hessian, 1);
  return {matrix, errors[0], errors[1]};
}

Solved solve_golden(const Settings& settings) {
  return solve_golden(settings, factorise(golden_hessian(), settings).value());
}

// A word for each input, a digit for each output.
std::vector<std::string> words_of(const QuantizedMatrix& matrix) {
  std::vector<std::string> words;
  for (uint32_t k = 0; k < kInputs; ++k) {
    std::string word;
    for (uint32_t n = 0; n < kOutputs; ++n)
      word += "0123456789abcdef"[matrix.codes[k * kOutputs + n]];
    words.push_back(word);
  }
  return words;
}

uint32_t sum_of_codes(const QuantizedMatrix& matrix) {
  return std::accumulate(matrix.codes.begin(), matrix.codes.end(), 0u);
}

TEST(GoldenHessian, HasTheseSumsOnItsDiagonal) {
  const Hessian hessian = golden_hessian();
  const std::vector<double> diagonal = {89.0234375,        23.90283203125,     5.58026123046875,
                                        1.321136474609375, 79.9287109375,      0,
                                        4.6624755859375,   1.1642913818359375, 104.302734375,
                                        20.06201171875,    5.29388427734375,   1.394744873046875,
                                        95.4208984375,     22.165771484375,    4.98626708984375,
                                        1.6249237060546875};
  for (size_t k = 0; k < kInputs; ++k)
    EXPECT_EQ(hessian.lower()[k * kInputs + k], diagonal[k]) << k;
}

TEST(GoldenFactor, HasThisOrderAndU) {
  const auto factor = factorise(golden_hessian(), plain_settings());
  ASSERT_TRUE(factor);
  EXPECT_THAT(factor->order, ElementsAre(8, 12, 0, 4, 1, 13, 9, 2, 10, 14, 6, 15, 11, 3, 7, 5));
  EXPECT_EQ(factor->dead, 1u);
  EXPECT_EQ(factor->damp, 0.01);
  const std::vector<double> diagonal = {.103605, .118148, .119071, .124254,
                                        .213163, .226082, .228645, .432538};
  for (uint32_t i = 0; i < diagonal.size(); ++i) EXPECT_NEAR(factor->at(i, i), diagonal[i], 6e-7);
  const std::vector<double> row = {.103605, .013449, -.000728, -.012355, .022108};
  for (uint32_t j = 0; j < row.size(); ++j) EXPECT_NEAR(factor->at(0, j), row[j], 6e-7);
}

// The group 8 .. 11 has the largest value of the diagonal, 12 .. 15 the largest of the least ones.
TEST(GoldenFactor, SortsGroupsByTheirLargest) {
  Settings settings = plain_settings();
  settings.order = Order::gar;
  settings.group_size = 4;
  EXPECT_THAT(column_order(golden_hessian(), settings),
              ElementsAre(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 6, 7, 5));
}

// The last group has four columns, and stays last although its 12 is larger than all of 0 .. 5.
TEST(GoldenFactor, KeepsAShortGroupLast) {
  Settings settings = plain_settings();
  settings.order = Order::gar;
  settings.group_size = 6;
  EXPECT_THAT(column_order(golden_hessian(), settings),
              ElementsAre(8, 9, 10, 6, 11, 7, 0, 4, 1, 2, 3, 5, 12, 13, 14, 15));
}

// Rounding to nearest: a group's scale is that of its own columns.
TEST(GoldenRounding, GivesAShortGroupARangeOfItsOwn) {
  Settings settings = plain_settings();
  settings.group_size = 12;
  const std::vector<float> weight = golden_weight();
  const QuantizedMatrix matrix = round_to_nearest(weight, kOutputs, kInputs, settings);
  ASSERT_EQ(matrix.groups(), 2u);
  // W[0] x 256 is -128 -27 74 -82 19 120 -36 65 -91 10 111 -45 | 56 -100 1 102.
  EXPECT_NEAR(matrix.value(0, 0), -0.5, 0.5 / 15);
  EXPECT_EQ(matrix.codes[15 * kOutputs], 15) << "102 is the largest of its group";
  EXPECT_NEAR(matrix.value(0, 15), 102.0 / 256, 102.0 / 256 / 14);
  EXPECT_EQ(pack(matrix, ZeroForm::v1).g_idx.back(), 1);
}

TEST(GoldenSolve, GivesTheseCodes) {
  const Solved solved = solve_golden(plain_settings());
  EXPECT_NEAR(solved.error, .003410, 6e-7);
  EXPECT_NEAR(solved.nearest, .004466, 6e-7);
  EXPECT_THAT(words_of(solved.matrix),
              ElementsAre("13479ce0", "69cf147a", "df26adf4", "26ae259d", "9d059e26", "88888888",
                          "6bf4ae48", "d17d27c0", "38f3af5b", "9f4c08e5", "f6c2a17e", "5d3b1af7",
                          "b3b1a191", "3a1a1a29", "808192a2", "f7091b4d"));
}

// The codes are those of GPTAQ's formula in double precision. On the quantised model's inputs more
// is lost, and what the layer computes is closer to the dense model's outputs: .0510 for .0541.
TEST(GoldenSolve, AimsAtTheDenseModelsOutputs) {
  const Settings settings = plain_settings();
  Shift shift(kInputs);
  shift.add(golden_inputs(), golden_dense_inputs(), 1);
  EXPECT_EQ(shift.sums()[0], 4.1318359375);
  EXPECT_EQ(shift.sums()[1], -1.03076171875) << "row of the difference, column of the input";
  EXPECT_EQ(shift.sums()[kInputs], -0.122314453125);
  EXPECT_EQ(shift.sums()[5 * kInputs], .9091796875) << "a dead input, which the dense model has";
  Factor factor = factorise(golden_hessian(), settings).value();
  factor.pull = pull_of(shift, factor, 1);
  const std::vector<double> row = {0, -.00812085, -.00155976, -.00661848, .00382097};
  for (size_t j = 0; j < row.size(); ++j)
    EXPECT_NEAR(static_cast<double>(factor.pull[j]), row[j], 6e-8);
  const Solved solved = solve_golden(settings, factor);
  EXPECT_NEAR(solved.error, .004083, 6e-7);
  EXPECT_THAT(words_of(solved.matrix),
              ElementsAre("13479ce0", "69cf147a", "cf269cf3", "26ad138d", "9d059d25", "88888888",
                          "5bf4af48", "e26c17b1", "38f3af5b", "9f4c18e4", "f6c2a17e", "5e4b1af7",
                          "b3b1a191", "3a1a0929", "808091a2", "f7091c4c"));
}

TEST(GoldenSolve, GivesTheseTensors) {
  const PackedMatrix packed = pack(solve_golden(plain_settings()).matrix, ZeroForm::v1);
  EXPECT_THAT(packed.g_idx, ElementsAre(0, 0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1));
  EXPECT_THAT(packed.scales,
              ElementsAre(0x2c44, 0x2c2b, 0x2b33, 0x2b00, 0x2b33, 0x2bcd, 0x2c1a, 0x2c33, 0x2b80,
                          0x2be9, 0x2cb0, 0x2b22, 0x2c0d, 0x2c1a, 0x2caf, 0x2ae1));
  EXPECT_THAT(packed.qzeros, ElementsAre(0x77777777, 0x77777777));
  EXPECT_THAT(packed.qweight,
              ElementsAre(0xd6892d61, 0x1b8d6f93, 0x7f80a2c4, 0xd485e6f7, 0x2a892a19, 0x7e8e5d4c,
                          0xc4829f7e, 0x0886d4a0, 0xf83b5f93, 0x70a3d6f8, 0x081b3c4f, 0x91a1b2c3,
                          0x191a1a0a, 0xb2a1a18f, 0x4a29f7e5, 0xd2917e5b));
}

struct Row {
  const char* name;
  Settings settings;
  double error;
  uint32_t codes;
};

Settings with(Order order, uint32_t group_size, uint8_t bits) {
  Settings settings = plain_settings();
  settings.order = order;
  settings.group_size = group_size;
  settings.bits = bits;
  return settings;
}

class GoldenRows : public ::testing::TestWithParam<Row> {};

TEST_P(GoldenRows, GiveThisErrorAndSum) {
  const Solved solved = solve_golden(GetParam().settings);
  EXPECT_NEAR(solved.error, GetParam().error, 6e-7);
  EXPECT_EQ(sum_of_codes(solved.matrix), GetParam().codes);
}

INSTANTIATE_TEST_SUITE_P(All, GoldenRows,
                         ::testing::Values(Row{"fixed", with(Order::fixed, 8, 4), .003376, 952},
                                           Row{"gar", with(Order::gar, 8, 4), .003869, 964},
                                           Row{"stored", with(Order::stored, 8, 4), .003891, 956},
                                           Row{"one_group", with(Order::act, 0, 4), .003783, 969},
                                           Row{"bits8", with(Order::act, 8, 8), .000013, 15208}),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(GoldenSolve, GivesTheseZeros) {
  Settings settings = with(Order::act, 8, 3);
  settings.symmetric = false;
  settings.zeros = ZeroForm::v2;
  const Solved solved = solve_golden(settings);
  EXPECT_NEAR(solved.error, .010311, 6e-7);
  EXPECT_EQ(sum_of_codes(solved.matrix), 454u);
  EXPECT_THAT(solved.matrix.zeros,
              ElementsAreArray({4, 3, 4, 3, 6, 3, 3, 5, 3, 5, 4, 4, 5, 4, 3, 4}));
}

}  // namespace
}  // namespace ropewalk::test
