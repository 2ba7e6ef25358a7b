// The files in configs/ are what users start from.
#include <sstream>

#include "tests/config/config_test.h"

namespace ropewalk::test {
namespace {

const fs::path kFolder = fs::path(RW_SOURCE_DIR) / "configs";

TEST(Stories, EveryFileLoads) {
  int files = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kFolder)) {
    if (entry.path().extension() != ".yaml" || entry.path().parent_path() != kFolder) continue;
    ++files;
    EXPECT_EQ(error_of([&] { load_config({.file = entry.path()}); }), "no error");
  }
  EXPECT_GE(files, 4);
}

// Presets are for `extends`: an order of samplers and nothing else.
TEST(Stories, EveryPresetCanBeExtended) {
  for (const char* name : {"hf", "exllama", "exllamav2", "llamacpp", "ooba"}) {
    const std::string text = std::string("model: m\nextends: presets/") + name + ".yaml\n";
    const Config config = parse_config(text, {.file = kFolder / "mine.yaml"});
    EXPECT_GE(config.sampling.size(), 6u) << name;
    const Config colder =
        parse_config(text + "sampling: {temperature: 0.1}\n", {.file = kFolder / "mine.yaml"});
    EXPECT_EQ(colder.sampling.size(), config.sampling.size()) << name;
  }
}

// The orders as the anchors' own sources have them; see the presets for which.
TEST(Stories, PresetsHaveTheirAnchorsOrder) {
  const std::pair<const char*, const char*> orders[] = {
      {"hf",
       "logit-bias repetition-penalty no-repeat-ngram ban-tokens min-length temperature top-k "
       "top-p min-p typical epsilon eta "},
      {"exllama", "repetition-penalty ban-tokens temperature top-k top-p typical "},
      {"exllamav2",
       "repetition-penalty frequency-presence logit-bias dry temperature top-k top-p top-a min-p "
       "tail-free typical xtc "},
      {"llamacpp",
       "repetition-penalty frequency-presence dry top-n-sigma top-k typical top-p min-p xtc "
       "temperature "},
      {"ooba",
       "repetition-penalty frequency-presence dry top-n-sigma temperature quadratic top-k top-p "
       "typical epsilon eta tail-free top-a min-p xtc no-repeat-ngram "}};
  for (const auto& [name, order] : orders) {
    const std::string text = std::string("model: m\nextends: presets/") + name + ".yaml\n";
    std::string found;
    for (const PluginChoice& link : parse_config(text, {.file = kFolder / "mine.yaml"}).sampling)
      found += link.name + " ";
    EXPECT_EQ(found, order) << name;
  }
}

TEST(Stories, FirstRunIsGreedyVicuna) {
  const Config config = load_config({.file = kFolder / "airophin-mini.yaml"});
  EXPECT_EQ(config.model, fs::path(RW_SOURCE_DIR) / "models/airophin-mini");
  EXPECT_EQ(config.backend.plugin.name, "auto");
  EXPECT_EQ(config.prompt.format->name, "vicuna-v1.1");
  EXPECT_TRUE(config.sampling.empty());
  EXPECT_EQ(config.generation.max_new_tokens, 128u);
  EXPECT_EQ(load_config({.file = kFolder / "cpu.yaml"}).backend.plugin.name, "cpu");
  EXPECT_EQ(load_config({.file = kFolder / "airophin-mini-chat.yaml"}).sampling.size(), 3u);
}

// Every line that the table of keys writes is in reference.yaml, in the same order, except for the
// model, which is a real one there.
TEST(Stories, ReferenceHasEveryKey) {
  std::ifstream file(kFolder / "reference.yaml");
  std::istringstream keys(describe_keys());
  std::string line;
  for (std::string key; std::getline(keys, key);) {
    if (key.starts_with("# model:")) key = "model: ../models/airophin-mini";
    while (std::getline(file, line) && line != key) {
    }
    ASSERT_EQ(line, key);
  }
}

TEST(Stories, ReferenceIsTheDefaults) {
  const Config config = load_config({.file = kFolder / "reference.yaml"});
  EXPECT_FALSE(config.rope);
  EXPECT_FALSE(config.prompt.format);
  EXPECT_EQ(config.generation.max_new_tokens, 512u);
}

}  // namespace
}  // namespace ropewalk::test
