#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

#include "tests/checkpoint/bad_rows.h"
#include "tests/checkpoint/sharded_model.h"

namespace ropewalk::test {
namespace {

namespace fs = std::filesystem;

constexpr char kIndex[] = "model.safetensors.index.json";

Write mapped_to(std::string file) {
  return sharded([file = std::move(file)](Sharded& it) {
    it.index["weight_map"]["model.norm.weight"] = file;
  });
}

std::string map_regex(const std::string& found) {
  return "index\\.json: weight_map\\.model\\.norm\\.weight: found \"" + found +
         "\", expected the plain name";
}

// The model's weights moved to TARGET, with a link in their place.
Write linked(std::string target) {
  return [target = std::move(target)](const fs::path& directory) {
    write_model(tiny_model(), directory);
    fs::rename(directory / "model.safetensors", directory / "weights");
    fs::create_symlink(target, directory / "model.safetensors");
  };
}

Write in_place_of_weights(std::function<void(const fs::path&)> make) {
  return [make = std::move(make)](const fs::path& directory) {
    write_model(tiny_model(), directory);
    fs::remove(directory / "model.safetensors");
    make(directory / "model.safetensors");
  };
}

void make_socket(const fs::path& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const int bound = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  close(fd);
  if (bound != 0) throw std::runtime_error("cannot bind " + path.string());
}

Write only_file(std::string name) {
  return spoil([name = std::move(name)](TinyModel& model) {
    model.tensors.clear();
    model.files[name] = "GGUF and the like";
  });
}

std::vector<BadModel> bad_indices() {
  return {
      {"F01", "NoShardOfTheSet", "model-00002-of-00002\\.safetensors: does not exist, but 1 other",
       sharded([](Sharded& it) {
         it.index = nullptr;
         it.second.clear();
       })},
      {"F02", "ShardAbsent",
       "model-00002-of-00002\\.safetensors: does not exist, but .*index\\.json names it",
       sharded([](Sharded& it) { it.second.clear(); })},
      {"F05", "TensorTwiceUnsaid",
       "00002-of-00002\\.safetensors: lm_head\\.weight: is also in model-00001",
       sharded([](Sharded& it) {
         it.second["lm_head.weight"] = it.first["lm_head.weight"];
         it.index = nullptr;
       })},
      {"F07", "Parent", map_regex("\\.\\./\\.\\./etc/passwd"), mapped_to("../../etc/passwd")},
      {"F08", "Absolute", map_regex("/etc/passwd"), mapped_to("/etc/passwd")},
      {"F09", "ThroughChild", map_regex("a/\\.\\./\\.\\./b\\.safetensors"),
       mapped_to("a/../../b.safetensors")},
      {"F11", "LinkedParent", map_regex("sub/model\\.safetensors"),
       mapped_to("sub/model.safetensors")},
      {"F13", "Backslash", map_regex("a\\\\b\\.safetensors"), mapped_to("a\\b.safetensors")},
      {"F13", "Drive", map_regex("C:b\\.safetensors"), mapped_to("C:b.safetensors")},
      {"F13", "Url", map_regex("file://b\\.safetensors"), mapped_to("file://b.safetensors")},
      {"F13", "Nul", map_regex("a\\\\x00\\.safetensors"),
       mapped_to(std::string("a\0.safetensors", 14))},
      {"F13", "OtherSuffix", map_regex("weights\\.pkl"), mapped_to("weights.pkl")},
      {"F13", "NotAText", map_regex(""),
       sharded([](Sharded& it) { it.index["weight_map"]["model.norm.weight"] = 7; })},
      {"F14", "ManyShards", "weight_map: names more than 1000 files", sharded([](Sharded& it) {
         for (int i = 0; i < 1001; ++i)
           it.index["weight_map"][fmt::format("t{}", i)] = fmt::format("{}.safetensors", i);
       })},
      {"F14", "ManyShardsOfASet", "m-00001-of-99999\\.safetensors: is one of 99999 shards",
       spoil([](TinyModel& model) {
         model.tensors.clear();
         model.files["m-00001-of-99999.safetensors"] = "x";
       })},
      {"F15", "IndexIsAList", "index\\.json: found a list, expected an object",
       sharded([](Sharded& it) { it.index = Json::array(); })},
      {"F15", "NoWeightMap", "index\\.json: weight_map: is missing",
       sharded([](Sharded& it) { it.index.erase("weight_map"); })},
      {"F15", "EmptyWeightMap", "index\\.json: weight_map: names no file",
       sharded([](Sharded& it) { it.index["weight_map"] = Json::object(); })},
      {"F15", "DuplicateTensor", "index\\.json: duplicate key \"a\"", sharded([](Sharded& it) {
         it.index = nullptr;
         it.model.files[kIndex] = R"({"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}})";
       })},
      {"F15", "TwoFilesNoIndex", "b\\.safetensors: is one of 2 \\.safetensors files",
       spoil([](TinyModel& model) {
         model.files["a.safetensors"] = model.files["b.safetensors"] = shard_file(model.tensors);
         model.tensors.clear();
       })},
      {"F15", "TwoSets", "is one of|belongs to another set of shards", spoil([](TinyModel& model) {
         model.files["a-00001-of-00001.safetensors"] = "x";
         model.files["b-00001-of-00001.safetensors"] = "x";
         model.tensors.clear();
       })},
  };
}

std::vector<BadModel> bad_paths() {
  return {
      {"F10", "LinkOut", "model\\.safetensors: is a symbolic link to \"/etc/hostname\"",
       linked("/etc/hostname")},
      {"F10", "LinkInside", "model\\.safetensors: is a symbolic link to \"weights\"",
       linked("weights")},
      {"F10", "LinkToBlobsOfNoCache", "is a symbolic link to \"\\.\\./\\.\\./blobs/abc\"",
       linked("../../blobs/abc")},
      {"G01", "Nothing", "model\\.safetensors: does not exist, nor any other",
       spoil([](TinyModel& model) { model.tensors.clear(); })},
      {"G01", "OnlyGguf", "model-q4\\.gguf: is a GGUF file, expected safetensors",
       only_file("model-q4.gguf")},
      {"G01", "OnlyPth", "consolidated\\.00\\.pth: is in Meta's own format",
       only_file("consolidated.00.pth")},
      {"G01", "OnlyPt", "model\\.pt: is a bare PyTorch file", only_file("model.pt")},
      {"G11", "Directory", "model\\.safetensors: is a directory, expected a regular file",
       in_place_of_weights([](const fs::path& path) { fs::create_directory(path); })},
      {"G11", "Fifo", "model\\.safetensors: is a FIFO, expected a regular file",
       in_place_of_weights([](const fs::path& path) { mkfifo(path.c_str(), 0600); })},
      {"G11", "Socket", "model\\.safetensors: is a socket or a device",
       in_place_of_weights(make_socket)},
      {"G11", "ConfigFifo", "config\\.json: is a FIFO, expected a regular file",
       [](const fs::path& directory) {
         write_model(tiny_model(), directory);
         fs::remove(directory / "config.json");
         mkfifo((directory / "config.json").c_str(), 0600);
       }},
      {"G10", "Terabyte", "model\\.safetensors: the header's length is 0",
       in_place_of_weights([](const fs::path& path) {
         write_file(path, "");
         fs::resize_file(path, uint64_t{1} << 40);
       })},
      {"G10", "TerabyteOfData", "model\\.safetensors: has .* bytes behind the last tensor",
       [](const fs::path& directory) {
         write_model(tiny_model(), directory);
         fs::resize_file(directory / "model.safetensors", uint64_t{1} << 40);
       }},
  };
}

}  // namespace

std::vector<BadModel> bad_files() {
  std::vector<BadModel> rows = bad_indices();
  const std::vector<BadModel> more = bad_paths();
  rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

}  // namespace ropewalk::test
