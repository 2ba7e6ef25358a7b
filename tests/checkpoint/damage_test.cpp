// Files cut at every byte of their headers, and headers with every byte changed.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "core/checkpoint/formats/safetensors.h"
#include "core/model/families.h"
#include "tests/checkpoint/layers.h"
#include "tests/checkpoint/sharded_model.h"
#include "tests/checkpoint/tiny_model.h"
#include "tests/checkpoint/tiny_torch.h"
#include "tests/cpu_time.h"

namespace ropewalk::test {
namespace {

namespace fs = std::filesystem;

enum class Outcome { opened, refused };

Outcome open(const fs::path& directory) {
  try {
    read_everything(*Checkpoint::open(directory, config_families()));
    return Outcome::opened;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::model);
    return Outcome::refused;
  }
}

// Every length below `dense` and 200 more below the whole, the longest first.
std::vector<size_t> cuts(size_t dense, size_t whole) {
  std::vector<size_t> lengths;
  for (size_t i = 200; i-- > 0 && dense < whole;)
    lengths.push_back(dense + (whole - dense) * i / 200);
  for (size_t length = dense; length-- > 0;) lengths.push_back(length);
  return lengths;
}

void expect_refused_when_cut(const TinyModel& model, const std::string& name, size_t dense) {
  const TemporaryFolder directory;
  write_model(model, directory.path());
  const size_t whole = fs::file_size(directory.path() / name);
  for (const size_t length : cuts(std::min(dense, whole), whole)) {
    fs::resize_file(directory.path() / name, length);
    EXPECT_EQ(open(directory.path()), Outcome::refused) << name << " cut at " << length;
  }
}

TEST(Truncation, Safetensors) {
  const TinyModel model = tiny_model();
  expect_refused_when_cut(model, "model.safetensors",
                          8 + safetensors_parts(model.tensors).header.size());
}

TEST(Truncation, Configs) {
  TinyModel model = tiny_model();
  expect_refused_when_cut(model, "config.json", 100'000);
  expect_refused_when_cut(model, "quantize_config.json", 100'000);
}

TEST(Truncation, Index) {
  const TemporaryFolder directory;
  sharded([](Sharded&) {})(directory.path());
  const fs::path index = directory.path() / "model.safetensors.index.json";
  for (size_t length = fs::file_size(index); length-- > 0;) {
    fs::resize_file(index, length);
    EXPECT_EQ(open(directory.path()), Outcome::refused) << "cut at " << length;
  }
}

TEST(Truncation, TorchFile) {
  expect_refused_when_cut(with_torch_file(tiny_dense()), "pytorch_model.bin", 300);
}

// The directory of a zip file is at its end.
TEST(Truncation, TorchFileAtItsEnd) {
  const TemporaryFolder directory;
  write_model(with_torch_file(tiny_dense()), directory.path());
  const fs::path path = directory.path() / "pytorch_model.bin";
  const uint64_t whole = fs::file_size(path);
  for (size_t lost = 1; lost < 1500; ++lost) {
    fs::resize_file(path, whole - lost);
    EXPECT_EQ(open(directory.path()), Outcome::refused) << lost << " bytes lost";
  }
}

// No byte of a header may lead to anything but entries or an Error.
TEST(Corruption, EveryByteOfASafetensorsHeader) {
  const TinyFile file = safetensors_parts(tiny_model().tensors);
  const std::string whole = safetensors_file(file.header, file.data);
  const JsonSource source{"model.safetensors", ExitCode::model};
  int refused = 0;
  for (size_t i = 0; i < 8 + file.header.size(); ++i)
    for (const int flip : {0x01, 0x02, 0x10, 0x80, 0xff}) {
      std::string bytes = whole;
      bytes[i] = static_cast<char>(bytes[i] ^ flip);
      try {
        const auto prefix = std::as_bytes(std::span(bytes)).first(kSafetensorsPrefix);
        const uint64_t size = safetensors_header_size(prefix, bytes.size(), source);
        parse_safetensors_header(std::string_view(bytes).substr(8, size), bytes.size(), source);
      } catch (const Error&) {
        ++refused;
      }
    }
  EXPECT_GT(refused, 10'000);  // of 5 per byte; a changed letter of a name is another name
}

TEST(Corruption, EveryByteOfATorchFile) {
  const TemporaryFolder directory;
  const TinyModel model = with_torch_file(tiny_dense());
  write_model(model, directory.path());
  const fs::path path = directory.path() / "pytorch_model.bin";
  const std::string& whole = model.files.at("pytorch_model.bin");
  std::vector<size_t> places;
  for (size_t i = 0; i < 2500; ++i) places.insert(places.end(), {i, whole.size() - 1 - i});
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const auto put = [&](size_t i, char byte) {
    file.seekp(static_cast<std::streamoff>(i));
    file.put(byte);
    file.flush();
  };
  int refused = 0;
  for (const size_t i : places) {
    put(i, static_cast<char>(whole[i] ^ 0xff));
    refused += open(directory.path()) == Outcome::refused;
    put(i, whole[i]);
  }
  EXPECT_GT(refused, 2000);
  EXPECT_EQ(open(directory.path()), Outcome::opened);
}

TEST(LargeHeader, OfManyTensorsIsQuick) {
  std::string header = "{";
  for (uint64_t i = 0; i < 100'000; ++i)
    header += "\"model.layers." + std::to_string(i) +
              R"(.weight":{"dtype":"F16","shape":[2],"data_offsets":[)" + std::to_string(4 * i) +
              "," + std::to_string(4 * i + 4) + "]},";
  header.back() = '}';
  const JsonSource source{"model.safetensors", ExitCode::model};
  const double start = cpu_seconds();
  const auto entries = parse_safetensors_header(header, 8 + header.size() + 400'000, source);
  EXPECT_EQ(entries.size(), 100'000u);
  EXPECT_LT(cpu_seconds() - start, 5);
}

TEST(OpenFile, SaysWhenItIsTruncatedLater) {
  const TemporaryFolder directory;
  write_model(tiny_model(), directory.path());
  const auto checkpoint = Checkpoint::open(directory.path(), config_families());
  testing::internal::CaptureStderr();
  checkpoint->check_unchanged();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  fs::resize_file(directory.path() / "model.safetensors", 5000);
  try {
    read_everything(*checkpoint);
    FAIL() << "read what is no longer there";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("model.safetensors: ends before byte"),
              std::string::npos)
        << error.what();
  }
  testing::internal::CaptureStderr();
  checkpoint->check_unchanged();
  checkpoint->check_unchanged();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("changed while it was being read"), std::string::npos) << log;
  EXPECT_EQ(log.find("changed"), log.rfind("changed")) << "said twice";
}

TEST(OpenFile, KeepsReadingWhenItIsReplaced) {
  const TemporaryFolder directory;
  write_model(tiny_model(), directory.path());
  const auto checkpoint = Checkpoint::open(directory.path(), config_families());
  write_file(directory.path() / "new", "short");
  fs::rename(directory.path() / "new", directory.path() / "model.safetensors");
  EXPECT_NO_THROW(read_everything(*checkpoint));
  testing::internal::CaptureStderr();
  checkpoint->check_unchanged();
  EXPECT_NE(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace ropewalk::test
