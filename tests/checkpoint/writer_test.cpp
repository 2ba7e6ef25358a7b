// What our own writer writes our own reader takes, and an interrupted one leaves nothing behind.
// The bytes are those that the safetensors library reads too (tools/adapters verify).
#include <gmock/gmock.h>

#include <sys/resource.h>
#include <csignal>

#include <cmath>
#include <limits>

#include "core/checkpoint/formats/safetensors_writer.h"
#include "core/checkpoint/formats/tensor_file.h"
#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/round.h"
#include "core/json/json.h"
#include "tests/error_of.h"
#include "tests/files.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

SafetensorsPlan plan_of(uint64_t shard_bytes) {
  return {"model",
          {{"a", StoredType::f16, {2, 3}, 12, {}},
           {"b", StoredType::i32, {1}, 4, {}},
           {"c", StoredType::u8, {5}, 5, {}}},
          shard_bytes};
}

void write_all(const SafetensorsWriter& writer) {
  writer.write(2, 0, bytes_of("ccccc"));  // in any order, in any pieces
  writer.write(0, 6, bytes_of("AAAAAA"));
  writer.write(1, 0, bytes_of("bbbb"));
  writer.write(0, 0, bytes_of("aaaaaa"));
}

std::string tensor_text(const TensorFile& file, const std::string& name) {
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    if (file.tensors()[i].name != name) continue;
    std::string text(file.tensors()[i].bytes, '\0');
    file.read_from(i, 0, std::as_writable_bytes(std::span(text)));
    return text;
  }
  return "none";
}

TEST(SafetensorsWriter, WritesWhatTheReaderReads) {
  const TemporaryFolder temporary;
  OutputFolder folder(temporary.path() / "out", Existing::refuse);
  const SafetensorsWriter writer(folder, plan_of(UINT64_MAX));
  write_all(writer);
  folder.commit();
  const auto file = open_safetensors(ModelDirectory(folder.path()).open("model.safetensors"));
  ASSERT_EQ(file->tensors().size(), 3u);
  EXPECT_EQ(tensor_text(*file, "a"), "aaaaaaAAAAAA");
  EXPECT_EQ(tensor_text(*file, "b"), "bbbb");
  EXPECT_EQ(tensor_text(*file, "c"), "ccccc");
  EXPECT_EQ(file->tensors()[0].shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_THAT(read_file(folder.path() / "model.safetensors"),
              HasSubstr(R"("__metadata__":{"format":"pt"})"));
}

TEST(SafetensorsWriter, CutsShardsWithAnIndex) {
  const TemporaryFolder temporary;
  OutputFolder folder(temporary.path() / "out", Existing::refuse);
  const SafetensorsWriter writer(folder, plan_of(10));
  write_all(writer);
  folder.commit();
  EXPECT_THAT(ModelDirectory(folder.path()).names(),
              ElementsAre("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                          "model.safetensors.index.json"));
  const Json index = parse_json(read_file(folder.path() / "model.safetensors.index.json"),
                                {"index", ExitCode::model});
  EXPECT_EQ(index["metadata"]["total_size"], 21);
  EXPECT_EQ(index["weight_map"]["a"], "model-00001-of-00002.safetensors");
  EXPECT_EQ(index["weight_map"]["c"], "model-00002-of-00002.safetensors");
  const auto second =
      open_safetensors(ModelDirectory(folder.path()).open("model-00002-of-00002.safetensors"));
  EXPECT_EQ(tensor_text(*second, "b") + tensor_text(*second, "c"), "bbbbccccc");
}

TEST(OutputFolder, HasNoNamesBeforeTheEnd) {
  const TemporaryFolder temporary;
  OutputFolder folder(temporary.path() / "out", Existing::refuse);
  folder.add_text("model.safetensors", "weights");
  folder.add_text("config.json", "{}");
  EXPECT_THAT(ModelDirectory(folder.path()).names(),
              ElementsAre("config.json.partial", "model.safetensors.partial"));
  folder.commit();
  EXPECT_THAT(ModelDirectory(folder.path()).names(),
              ElementsAre("config.json", "model.safetensors"));
}

TEST(OutputFolder, LeavesNothingWithoutCommit) {
  const TemporaryFolder temporary;
  { OutputFolder(temporary.path() / "out", Existing::refuse).add_text("config.json", "{}"); }
  EXPECT_FALSE(std::filesystem::exists(temporary.path() / "out"));
  std::filesystem::create_directory(temporary.path() / "mine");
  { OutputFolder(temporary.path() / "mine", Existing::refuse).add_text("config.json", "{}"); }
  EXPECT_TRUE(std::filesystem::is_empty(temporary.path() / "mine"))
      << "a folder of the user's stays";
}

TEST(OutputFolder, RefusesWhatIsTaken) {
  const TemporaryFolder temporary;
  temporary.write("out/model.safetensors.partial", "of a run that was killed");
  expect_error(ExitCode::usage,
               AllOf(HasSubstr("is not empty, found model.safetensors.partial in it"),
                     HasSubstr("nothing is overwritten")),
               [&] { OutputFolder(temporary.path() / "out", Existing::refuse); });
  temporary.write("file", "");
  expect_error(ExitCode::usage, HasSubstr("is not a directory"),
               [&] { OutputFolder(temporary.path() / "file", Existing::refuse); });
  expect_error(ExitCode::output, HasSubstr("cannot be written"),
               [&] { OutputFolder("/proc/nowhere", Existing::refuse); });
}

// What a killed run has written is there for the next, whether it was renamed or not.
TEST(OutputFolder, KeepsWhatAnEarlierRunWrote) {
  const TemporaryFolder temporary;
  for (const bool renamed : {false, true}) {
    {
      OutputFolder first(temporary.path() / "out", Existing::keep);
      first.add("model.safetensors", 4).write_at(0, bytes_of("abcd"));
      if (renamed) first.commit();
    }
    OutputFolder second(temporary.path() / "out", Existing::keep);
    std::vector<std::byte> found(4);
    second.add("model.safetensors", 4).read_at(0, found);
    EXPECT_EQ(found, bytes_of("abcd")) << renamed;
    EXPECT_THAT(ModelDirectory(second.path()).names(), ElementsAre("model.safetensors.partial"));
  }
}

TEST(OutputFolder, NoticesAnotherRun) {
  const TemporaryFolder temporary;
  OutputFolder first(temporary.path() / "out", Existing::refuse);
  OutputFolder second(temporary.path() / "out", Existing::refuse);
  first.add_text("config.json", "{}");
  expect_error(ExitCode::usage, HasSubstr("another run writes there"),
               [&] { second.add_text("config.json", "{}"); });
}

// A limit on the size of files stands for a full disk.
TEST(OutputFolder, TakesTheRoomAtOnce) {
  const TemporaryFolder temporary;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small{1 << 20, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  {
    OutputFolder folder(temporary.path() / "out", Existing::refuse);
    expect_error(ExitCode::output, HasSubstr("model.safetensors.partial: cannot be written"),
                 [&] { folder.add("model.safetensors", 2 << 20); });
  }
  setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_FALSE(std::filesystem::exists(temporary.path() / "out"));
}

TEST(Round, GivesEveryHalfBack) {
  for (uint32_t word = 0; word < 0x10000; ++word) {
    const auto half = static_cast<uint16_t>(word);
    const float value = to_floats(StoredType::f16, std::as_bytes(std::span(&half, 1)))[0];
    if (std::isnan(value)) {
      EXPECT_EQ(round_to_f16(value) & 0x7c00, 0x7c00);
    } else {
      ASSERT_EQ(round_to_f16(value), half);
    }
    const float brain = to_floats(StoredType::bf16, std::as_bytes(std::span(&half, 1)))[0];
    if (!std::isnan(brain)) {
      ASSERT_EQ(round_to_bf16(brain), half);
    }
  }
}

TEST(Round, TakesTheNearestAndTiesToEven) {
  EXPECT_EQ(round_to_f16(1 + 0x1p-11f), 0x3c00);             // half way, even below
  EXPECT_EQ(round_to_f16(1 + 0x1p-11f + 0x1p-20f), 0x3c01);  // just above
  EXPECT_EQ(round_to_f16(1 + 3 * 0x1p-11f), 0x3c02);         // half way, even above
  EXPECT_EQ(round_to_f16(65519.996f), 0x7bff);
  EXPECT_EQ(round_to_f16(65520), 0x7c00);  // the first that becomes infinite
  EXPECT_EQ(round_to_f16(-1e30f), 0xfc00);
  EXPECT_EQ(round_to_f16(0x1p-25f), 0);  // half of the smallest, tie to 0
  EXPECT_EQ(round_to_f16(0x1.8p-25f), 1);
  EXPECT_EQ(round_to_f16(3 * 0x1p-25f), 2);
  EXPECT_EQ(round_to_f16(-0.0f), 0x8000);
  EXPECT_EQ(round_to_bf16(1 + 0x1p-8f), 0x3f80);
  EXPECT_EQ(round_to_bf16(1 + 3 * 0x1p-8f), 0x3f82);
  EXPECT_EQ(round_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  const uint16_t nan = round_to_bf16(NAN);
  EXPECT_TRUE(std::isnan(to_floats(StoredType::bf16, std::as_bytes(std::span(&nan, 1)))[0]));
}

}  // namespace
}  // namespace ropewalk::test
