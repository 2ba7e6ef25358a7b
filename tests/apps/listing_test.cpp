// plugins and devices: what is installed, and why something is not usable.
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/apps/program.h"

namespace ropewalk::test {
namespace {

using ::testing::HasSubstr;

const Json* find(const Json& list, const char* key, const std::string& value) {
  for (const Json& item : list)
    if (item.value(key, "") == value) return &item;
  return nullptr;
}

TEST(Plugins, ListsKindNameVersionAndOptions) {
  const Outcome outcome = run_program({"plugins", "--json"}, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json modules = outcome.json()["modules"];
  for (const char* name : {"cpu", "none", "linear", "raw", "vicuna-v1.1", "temperature"}) {
    const Json* module = find(modules, "name", name);
    ASSERT_NE(module, nullptr) << name;
    EXPECT_EQ((*module)["verdict"], "ok");
    EXPECT_THAT((*module)["file"].get<std::string>(), HasSubstr(std::string("/") + name + ".so"));
  }
  const Json& linear = *find(modules, "name", "linear");
  EXPECT_EQ(linear["kind"], "rope scaling");
  const Json* factor = find(linear["options"], "name", "factor");
  ASSERT_NE(factor, nullptr);
  EXPECT_EQ((*factor)["type"], "number");
  EXPECT_TRUE((*factor)["minimum"].is_number());
}

TEST(Plugins, SaysWhyAFileIsRefused) {
  const TemporaryFolder folder;
  folder.write("broken.so", "this is no library");
  const std::string config = folder.write("a.yaml", "model: m\nplugins: {paths: [.]}\n");
  const Outcome outcome = run_program({"plugins", config, "--json"}, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json modules = outcome.json()["modules"];
  const Json* broken = find(modules, "file", (folder.path() / "broken.so").string());
  ASSERT_NE(broken, nullptr);
  EXPECT_THAT((*broken)["verdict"].get<std::string>(), HasSubstr("is not a shared library"));
  EXPECT_FALSE(broken->contains("name"));
  const Outcome text = run_program({"plugins", config}, "");
  EXPECT_THAT(text.out, HasSubstr("refused " + (folder.path() / "broken.so").string()));
  EXPECT_THAT(text.out, HasSubstr("broken.so"));
}

TEST(Plugins, AFolderThatIsMissingIsAnError) {
  const Outcome outcome = run_program({"plugins", "--set", "plugins.paths=[/nowhere/plugins]"}, "");
  EXPECT_EQ(outcome.code, 4);
  EXPECT_THAT(outcome.err, HasSubstr("error: /nowhere/plugins: is not there"));
}

// The child that looks at a stranger first is this very program. Both are built in tests/modules.
TEST(Plugins, StrangersAreProbedAndListed) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(RW_HONEST_LIBRARY, folder.path() / "honest.so");
  std::filesystem::copy_file(RW_CRASHING_LIBRARY, folder.path() / "aborts.so");
  const Outcome outcome = run_program(
      {"plugins", "--json", "--set", "plugins.paths=[" + folder.path().string() + "]"}, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json modules = outcome.json()["modules"];
  const Json* honest = find(modules, "file", (folder.path() / "honest.so").string());
  ASSERT_NE(honest, nullptr);
  EXPECT_EQ((*honest)["verdict"], "ok");
  const Json* crashing = find(modules, "file", (folder.path() / "aborts.so").string());
  ASSERT_NE(crashing, nullptr);
  EXPECT_THAT((*crashing)["verdict"].get<std::string>(), HasSubstr("signal 6"));
}

TEST(Plugins, AreFilteredByKindAndName) {
  const auto names = [](const std::string& filter) {
    std::vector<std::string> found;
    const Json json = run_program({"plugins", filter, "--json"}, "").json();
    for (const Json& module : json["modules"]) found.push_back(module["name"]);
    return found;
  };
  for (const char* kind : {"rope-scaling", "rope_scaling", "rope scaling"})
    EXPECT_THAT(names(kind), ::testing::IsSupersetOf({"linear", "yarn", "none"})) << kind;
  EXPECT_THAT(names("sampler"), ::testing::Not(::testing::Contains("yarn")));
  EXPECT_THAT(names("top_p"), ::testing::ElementsAre("top-p"));
  const TemporaryFolder folder;
  const std::string config = folder.write("a.yaml", "model: m\n");
  EXPECT_EQ(run_program({"plugins", config, "top-p"}, "").out,
            run_program({"plugins", "top-p"}, "").out);
  const Outcome wrong = run_program({"plugins", "top-o"}, "");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("found no plugin and no kind called top-o. Did you mean top-"));
}

TEST(Devices, ListsEveryBackendAndWhyNot) {
  const Outcome outcome = run_program({"devices", "--json"}, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json devices = outcome.json()["devices"];
  for (const char* backend : {"cuda", "vulkan", "cpu"}) {
    const Json* device = find(devices, "backend", backend);
    ASSERT_NE(device, nullptr) << backend;
    if (!(*device)["usable"].get<bool>()) {
      EXPECT_NE((*device)["reason"], "") << backend;
      EXPECT_NE((*device)["reason"], "not built") << "without the reason";
    }
    if ((*device)["reason"].get<std::string>().starts_with("not built: ")) {
      EXPECT_THAT(run_program({"bench", "--shape", "airophin-mini", "--backend", backend}, "").err,
                  HasSubstr(std::string("the backend ") + backend + " was " +
                            (*device)["reason"].get<std::string>()));
    }
  }
  const Json& cpu = *find(devices, "backend", "cpu");
  EXPECT_TRUE(cpu["usable"]);
  EXPECT_EQ(cpu["type"], "cpu");
  EXPECT_GT(cpu["memory_total"].get<uint64_t>(), uint64_t{1} << 28);
  EXPECT_THAT(cpu["kv_cache"].dump(), HasSubstr("f32"));
  EXPECT_THAT(run_program({"devices"}, "").out, HasSubstr("cpu 0: "));
}

TEST(Backend, ThatIsMissingIsNoDeviceOrPlugin) {
  const TemporaryFolder folder;
  const std::string config =
      folder.write("a.yaml", "model: " RW_FIXTURES "/models/dense-f32\nbackend: gpu\n");
  const Outcome outcome = run_program({"score", config, "--ids", "-"}, "1 2 3");
  EXPECT_EQ(outcome.code, 4);
  EXPECT_THAT(outcome.err, HasSubstr("found no backend called gpu. Write auto, which takes a GPU"));
}

}  // namespace
}  // namespace ropewalk::test
