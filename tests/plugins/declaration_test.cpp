// Every plugin passes the door and describes itself.
#include <gmock/gmock.h>

#include <stdlib.h>

#include <chrono>
#include <map>
#include <set>

#include "core/abi/prompt_format.h"
#include "core/abi/rope_scaling.h"
#include "core/abi/sampler.h"
#include "core/modules/door.h"
#include "core/modules/registry.h"
#include "tests/plugins/plugin.h"

namespace ropewalk::test {
namespace {

namespace fs = std::filesystem;

struct Kind {
  abi::ModuleKind kind;
  std::set<std::string> names;
};

const Kind kKinds[] = {
    {abi::ModuleKind::prompt_format,
     {"airoboros-1.4", "airoboros-2", "alpaca",    "chatml",      "deepseek-coder",
      "deepseek-llm",  "deepseek-r1", "falcon-3",  "gemma",       "granite-3",
      "llama-2-chat",  "llama-3",     "llama-3.1", "mistral",     "openchat",
      "openchat-3.6",  "phi-3",       "phi-4",     "phi-4-mini",  "qwen-2.5",
      "qwen-3",        "qwq",         "raw",       "smollm2",     "smollm3",
      "solar",         "template",    "tulu",      "vicuna-v1.1", "yi-1.5",
      "zephyr"}},
    {abi::ModuleKind::rope_scaling,
     {"dynamic-ntk", "linear", "llama3", "longrope", "none", "ntk", "ntk-by-parts", "yarn"}},
    {abi::ModuleKind::sampler,
     {"ban-tokens",
      "draw",
      "dry",
      "dynamic-temperature",
      "epsilon",
      "eta",
      "frequency-presence",
      "greedy",
      "logit-bias",
      "min-length",
      "min-p",
      "mirostat",
      "no-repeat-ngram",
      "quadratic",
      "repetition-penalty",
      "tail-free",
      "temperature",
      "top-a",
      "top-k",
      "top-n-sigma",
      "top-p",
      "typical",
      "xtc"}},
};

TEST(Plugins, PassTheDoorUnderTheirFilesName) {
  for (const Kind& kind : kKinds) {
    for (const std::string& name : kind.names) {
      const fs::path file = fs::path(RW_MODULE_DIR) / kind_folder(kind.kind) / (name + ".so");
      EXPECT_EQ(check_door(file).kind, kind.kind) << file;
      const ModuleDescription description = Library(file).description();
      EXPECT_EQ(description.name, name);
      EXPECT_FALSE(description.source.empty()) << name;
      EXPECT_LE(description.help.size(), 80u) << name;
      for (const OptionDescription& option : description.options)
        EXPECT_LE(option.help.size(), 90u) << name << ": " << option.name;
    }
  }
}

// As `ropewalk plugins` does, where those that need an option get none.
TEST(Plugins, AreListedAsOk) {
  setenv("ASAN_OPTIONS", "handle_abort=0:handle_segv=0:handle_sigbus=0", 1);
  RegistrySettings settings;
  settings.install_folder = RW_MODULE_DIR;
  settings.probe = {.program = RW_PROBE_PROGRAM, .limit = std::chrono::seconds(20)};
  std::map<abi::ModuleKind, std::set<std::string>> listed;
  for (const ModuleListing& listing : Registry(settings).list())
    if (listing.verdict == "ok")
      listed[listing.description->kind].insert(listing.description->name);
  for (const Kind& kind : kKinds) EXPECT_EQ(listed[kind.kind], kind.names);
}

TEST(Plugins, SamplersAndFormatsNeedNoOptions) {
  for (const std::string& name : kKinds[0].names)
    EXPECT_TRUE(make_plugin<abi::PromptFormat>(name, {}));
  for (const std::string& name : kKinds[2].names) EXPECT_TRUE(make_plugin<abi::Sampler>(name, {}));
}

// Every plugin that configs/ names exists and accepts its options there.
TEST(Plugins, ConfigurationsNameWhatThereIs) {
  const fs::path folder = fs::path(RW_SOURCE_DIR) / "configs";
  size_t links = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") continue;
    const Config config = load_config({.file = entry.path(), .overrides = {"model=somewhere"}});
    for (const PluginChoice& choice : config.sampling) {
      ++links;
      EXPECT_TRUE(
          load_plugin(abi::ModuleKind::sampler, choice.name).create<abi::Sampler>(choice, nullptr))
          << entry.path();
    }
    if (!config.prompt.format || config.prompt.format->name == "auto") continue;
    const PluginChoice& format = *config.prompt.format;
    EXPECT_TRUE(load_plugin(abi::ModuleKind::prompt_format, format.name)
                    .create<abi::PromptFormat>(format, nullptr));
  }
  EXPECT_GE(links, 40u);
}

TEST(Plugins, ALoneValueSetsTheMainOption) {
  const std::pair<const char*, const char*> mains[] = {{"temperature", "temperature"},
                                                       {"top-k", "k"},
                                                       {"top-p", "p"},
                                                       {"min-p", "p"},
                                                       {"top-a", "a"},
                                                       {"typical", "p"},
                                                       {"mirostat", "version"},
                                                       {"dry", "multiplier"},
                                                       {"ban-tokens", "texts"},
                                                       {"min-length", "tokens"},
                                                       {"repetition-penalty", "penalty"}};
  for (const auto& [name, option] : mains)
    EXPECT_EQ(load_plugin(abi::ModuleKind::sampler, name).description().options[0].name, option);
}

}  // namespace
}  // namespace ropewalk::test
