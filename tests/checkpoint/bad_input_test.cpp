// Every row of bad_models.h: refused with exit code 3 and the words it demands, within seconds of
// CPU time (the machine may be busy).
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "core/model/families.h"
#include "tests/checkpoint/bad_models.h"
#include "tests/checkpoint/layers.h"
#include "tests/checkpoint/tiny_torch.h"
#include "tests/cpu_time.h"

namespace ropewalk::test {
namespace {

std::string test_name(const BadModel& row) { return row.id + "_" + row.what; }

class BadInput : public testing::TestWithParam<BadModel> {};

TEST_P(BadInput, IsRefusedInWords) {
  const TemporaryFolder directory;
  GetParam().write(directory.path());
  const double start = cpu_seconds();
  try {
    read_everything(*Checkpoint::open(directory.path(), config_families()));
    FAIL() << "was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::model);
    EXPECT_TRUE(std::regex_search(error.what(), std::regex(GetParam().pattern)))
        << "said:   " << error.what() << "\nwanted: " << GetParam().pattern;
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    EXPECT_EQ(std::string(error.what()).find('\x1b'), std::string::npos);
  }
  EXPECT_LT(cpu_seconds() - start, 10);
}

INSTANTIATE_TEST_SUITE_P(Table, BadInput, testing::ValuesIn(all_bad_models()),
                         [](const auto& row) { return test_name(row.param); });

// The models that the rows spoil are sound, so that a row fails for its own reason.
TEST(BadInputTable, SpoilsModelsThatAreSound) {
  for (const auto& model :
       {tiny_model(), tiny_dense(), with_torch_file(tiny_dense()), with_torch_file(tiny_model())}) {
    const TemporaryFolder directory;
    write_model(model, directory.path());
    EXPECT_NO_THROW(read_everything(*Checkpoint::open(directory.path(), config_families())));
  }
}

TEST(BadInputTable, HasOneNamePerRow) {
  std::set<std::string> names;
  for (const BadModel& row : all_bad_models())
    EXPECT_TRUE(names.insert(test_name(row)).second) << test_name(row);
}

}  // namespace
}  // namespace ropewalk::test
