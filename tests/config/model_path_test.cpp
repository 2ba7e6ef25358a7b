// The hub's cache as huggingface_hub lays it out.
#include "core/config/model_path.h"

#include <cstdlib>

#include "tests/config/config_test.h"

namespace ropewalk::test {
namespace {

constexpr char kCommit[] = "0123456789abcdef0123456789abcdef01234567";

class HubCache : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* variable :
         {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"})
      unsetenv(variable);
    setenv("HF_HUB_CACHE", cache().c_str(), 1);
    setenv("MODELSCOPE_CACHE", modelscope().c_str(), 1);
  }
  void TearDown() override {
    unsetenv("HF_HUB_CACHE");
    unsetenv("MODELSCOPE_CACHE");
  }

  fs::path cache() const { return folder_.path() / "hub"; }
  fs::path modelscope() const { return folder_.path() / "scope"; }
  fs::path repository() const { return cache() / "models--org--name"; }
  fs::path snapshot(const std::string& commit) const { return repository() / "snapshots" / commit; }

  void add(const std::string& ref, const std::string& commit) {
    fs::create_directories(snapshot(commit));
    fs::create_directories((repository() / "refs" / ref).parent_path());
    write_file(repository() / "refs" / ref, commit);
  }

  fs::path model_of(const std::string& text) const {
    return parse_config("model: " + text + "\n", {.file = (folder_.path() / "c.yaml").string()})
        .model;
  }

  TemporaryFolder folder_;
};

TEST(HubName, IsOrgAndNameAndMayHaveARevision) {
  const auto name = as_hub_name("TheBloke/Airophin-13B-pntk-16k-GPTQ:gptq-4bit-32g");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->org, "TheBloke");
  EXPECT_EQ(name->name, "Airophin-13B-pntk-16k-GPTQ");
  EXPECT_EQ(name->revision, "gptq-4bit-32g");
  for (const char* text : {"name", "a/b/c", "/a/b", "../a", "./a", "a/..", "a/b:", "a/b:../../x",
                           "a/b:/x", "a b/c", "", "a//b"})
    EXPECT_FALSE(as_hub_name(text)) << text;
}

TEST_F(HubCache, IsWhereTheEnvironmentSays) {
  EXPECT_EQ(hub_cache(), cache());
  unsetenv("HF_HUB_CACHE");
  setenv("HUGGINGFACE_HUB_CACHE", "~/old", 1);
  EXPECT_EQ(hub_cache(), fs::path(std::getenv("HOME")) / "old");
  unsetenv("HUGGINGFACE_HUB_CACHE");
  setenv("HF_HOME", "/h", 1);
  EXPECT_EQ(hub_cache(), "/h/hub");
  unsetenv("HF_HOME");
  setenv("XDG_CACHE_HOME", "/x", 1);
  EXPECT_EQ(hub_cache(), "/x/huggingface/hub");
  unsetenv("XDG_CACHE_HOME");
  EXPECT_EQ(modelscope_cache(), modelscope());
  unsetenv("MODELSCOPE_CACHE");
  EXPECT_TRUE(modelscope_cache().string().ends_with("/.cache/modelscope/hub"));
  EXPECT_TRUE(hub_cache().string().ends_with("/.cache/huggingface/hub"));
}

TEST_F(HubCache, ResolvesANameToTheSnapshotOfItsRevision) {
  add("main", kCommit);
  add("gptq-4bit-32g", "feed");
  add("refs/pr/1", "beef");
  EXPECT_EQ(model_of("org/name"), snapshot(kCommit));
  EXPECT_EQ(model_of("org/name:gptq-4bit-32g"), snapshot("feed"));
  EXPECT_EQ(model_of("org/name:refs/pr/1"), snapshot("beef"));
  EXPECT_EQ(model_of(std::string("org/name:") + kCommit), snapshot(kCommit));
}

TEST_F(HubCache, TakesTheOnlySnapshotWhereMainIsNotSaid) {
  fs::create_directories(snapshot("feed"));
  EXPECT_EQ(model_of("org/name"), snapshot("feed"));
  fs::create_directories(snapshot("beef"));
  EXPECT_EQ(model_of("org/name"), folder_.path() / "org/name");
}

TEST_F(HubCache, ModelScopesFoldersHaveNoRevisions) {
  const fs::path folder = modelscope() / "models/Qwen/Qwen2___5-7B";
  const fs::path once = modelscope() / "Qwen/Qwen2___5-7B";
  fs::create_directories(once);
  EXPECT_EQ(model_of("Qwen/Qwen2.5-7B"), once);
  fs::create_directories(folder);
  EXPECT_EQ(model_of("Qwen/Qwen2.5-7B"), folder);
  EXPECT_EQ(model_of("ms:Qwen/Qwen2.5-7B:v2"), folder);
  for (const char* text : {"Qwen/Qwen2.5-7B:v2", "hf:Qwen/Qwen2.5-7B"})
    EXPECT_EQ(model_of(text), folder_.path() / text);
  fs::create_directories(cache() / "models--Qwen--Qwen2.5-7B/snapshots/feed");
  EXPECT_EQ(model_of("Qwen/Qwen2.5-7B").filename(), "feed");
  EXPECT_EQ(model_of("ms:Qwen/Qwen2.5-7B"), folder);
}

TEST_F(HubCache, ARootIsItsSnapshot) {
  add("main", kCommit);
  fs::create_directories(snapshot("feed"));
  EXPECT_EQ(model_of(repository().string()), snapshot(kCommit));
  EXPECT_EQ(model_of(snapshot("feed").string()), snapshot("feed"));
}

TEST_F(HubCache, AFolderComesBeforeTheCache) {
  add("main", kCommit);
  fs::create_directories(folder_.path() / "org/name");
  EXPECT_EQ(model_of("org/name"), folder_.path() / "org/name");
}

TEST_F(HubCache, ARefLeadsNowhereElse) {
  add("main", kCommit);
  fs::create_directories(folder_.path() / "hub/other");
  for (const char* ref : {"../../../other", "/etc", "..", ""}) {
    write_file(repository() / "refs/main", ref);
    fs::create_directories(snapshot("feed"));  // not the only one
    EXPECT_EQ(model_of("org/name"), folder_.path() / "org/name") << ref;
  }
}

TEST_F(HubCache, SaysHowToDownloadWhatIsNotThere) {
  const Config config = parse_config("model: org/name:v2\n", {.file = "c.yaml"});
  EXPECT_EQ(error_of([&] { require_model(config.model, config.hub_name); }),
            "3 org/name:v2: found no such folder, nor this model in the cache " + cache().string() +
                ". Download it: hf download org/name --revision v2.");
  const auto said = [](const std::string& name) {
    return error_of([&] { require_model("nowhere", name); });
  };
  EXPECT_EQ(said("org/name"), "3 org/name: found no such folder, nor this model in the caches " +
                                  cache().string() + " and " + modelscope().string() +
                                  ". Download it: hf download org/name.");
  EXPECT_EQ(said("ms:org/name"),
            "3 ms:org/name: found no such folder, nor this model in the cache " +
                modelscope().string() + ". Download it: modelscope download --model org/name.");
  const Config other = parse_config("model: ../elsewhere\n", {.file = "c.yaml"});
  EXPECT_EQ(error_of([&] { require_model(other.model, other.hub_name); }), "no error");
}

}  // namespace
}  // namespace ropewalk::test
