// Model folders as people have them: tokens without a row, stops that are tokens, end ids that no
// tokenizer knows, texts that are not clean, and models named without a configuration.
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>

#include "tests/apps/program.h"
#include "tests/apps/small_model.h"

namespace ropewalk::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kIds = 1024;  // of the bundled tokenizer

class ModelFiles : public ::testing::Test {
 protected:
  Outcome run(Arguments arguments) const {
    Arguments all = {"run", config_};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run_program(all, "");
  }
  Outcome run_json(Arguments arguments) const {
    arguments.insert(arguments.end(), {"--prompt", "hi", "--json"});
    return run(arguments);
  }

  void change_json(const std::string& name, const std::function<void(Json&)>& change) const {
    const fs::path file = model_ / name;
    Json json = fs::exists(file) ? Json::parse(read_file(file)) : Json::object();
    change(json);
    write_file(file, json.dump());
  }
  void set_json(const std::string& name, const std::string& key, const Json& value) const {
    change_json(name, [&](Json& json) { json[key] = value; });
  }

  // Else transformers reads neither added_tokens.json nor special_tokens_map.json.
  void forget_decoder() const {
    change_json("tokenizer_config.json", [](Json& json) { json.erase("added_tokens_decoder"); });
  }

  TemporaryFolder folder_;
  std::string config_ = write_small_config(folder_.path(), {});
  fs::path model_ = folder_.path() / "model";
};

TEST_F(ModelFiles, ATokenWithoutARowIsNoReasonToRefuseTheModel) {
  const std::string expected = run({"--prompt", "hi [PAD]"}).out;
  const auto same = [&](const std::string& how) {
    const Outcome outcome = run({"--prompt", "hi [PAD]"});
    EXPECT_EQ(outcome.code, 0) << how << outcome.err;
    EXPECT_EQ(outcome.out, expected) << how;
    write_small_model(model_, {});
    forget_decoder();
    fs::remove(model_ / "added_tokens.json");
  };
  forget_decoder();
  set_json("added_tokens.json", "[PAD]", kIds);
  same("added_tokens.json");
  set_json("special_tokens_map.json", "pad_token", "[PAD]");
  same("special_tokens_map.json");
  set_json("tokenizer_config.json", "pad_token", "[PAD]");
  same("tokenizer_config.json, a name");
  set_json("tokenizer_config.json", "pad_token", {{"content", "[PAD]"}, {"lstrip", false}});
  same("tokenizer_config.json, an object");
  set_json("tokenizer_config.json", "additional_special_tokens", {"[PAD]", "[SEP]"});
  same("additional_special_tokens");
}

TEST_F(ModelFiles, AFormatThatNeedsATokenWithoutARowIsRefusedByName) {
  forget_decoder();
  change_json("added_tokens.json", [](Json& json) {
    json["<|im_start|>"] = kIds;
    json["<|im_end|>"] = kIds + 1;
  });
  EXPECT_EQ(run({"--prompt", "hi"}).code, 0);
  const Outcome outcome = run({"--prompt", "hi", "--set", "prompt.format=chatml"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err,
              HasSubstr("prompt.format: chatml needs the token <|im_start|> (id 1024), "
                        "for which the model of 1024 rows has none"));
}

// The rows beyond the tokenizer's ids have by far the largest logits, so that the token of one of
// them comes soon.
TEST_F(ModelFiles, AStopThatIsASpecialTokenEndsTheReply) {
  write_small_model(model_, {.padding = 1});
  forget_decoder();
  change_json("tokenizer_config.json",
              [](Json& json) { json["additional_special_tokens"] = {"<|im_end|>"}; });
  set_json("added_tokens.json", "<|im_end|>", kIds);
  const Json freely = run_json({}).json();
  const auto ids = freely["ids"].get<std::vector<int>>();
  const auto first = std::ranges::find(ids, kIds);
  ASSERT_NE(first, ids.end());
  ASSERT_EQ(freely["finish"], "length");

  for (const char* stop : {"<|im_end|>", "<|im_end|>\\n"}) {
    const Json stopped =
        run_json({"--set", std::string("generation.stop=[\"") + stop + "\"]"}).json();
    EXPECT_EQ(stopped["finish"], "stop") << stop;
    EXPECT_EQ(stopped["ids"].size(), first - ids.begin() + 1) << stop;
    EXPECT_TRUE(freely["text"].get<std::string>().starts_with(stopped["text"].get<std::string>()));
    EXPECT_THAT(stopped["text"].get<std::string>(), Not(HasSubstr("im_end")));
  }
}

TEST_F(ModelFiles, AnEndIdThatTheTokenizerDoesNotKnowEndsTheReply) {
  write_small_model(model_, {.padding = 64});
  constexpr int kEnd = kIds + 40;
  set_json("config.json", "eos_token_id", kEnd);
  bool ended = false;
  for (const char* seed : {"1", "2", "3", "4", "5", "6", "7", "8"}) {
    const Outcome outcome = run_json({"--set", "sampling=[temperature: 1.5]", "--max-new-tokens",
                                      "64", "--set", std::string("generation.seed=") + seed});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.err,
                HasSubstr("eos_token_id 1064 is no id of the tokenizer, which has 1024"));
    const Json answer = outcome.json();
    const auto ids = answer["ids"].get<std::vector<int>>();
    // Padding rows that end nothing stay banned, however likely.
    EXPECT_THAT(ids, Each(::testing::AnyOf(::testing::Lt(kIds), kEnd)));
    if (std::ranges::find(ids, kEnd) == ids.end()) continue;
    EXPECT_EQ(ids.back(), kEnd);
    EXPECT_EQ(answer["finish"], "stop");
    ended = true;
  }
  EXPECT_TRUE(ended);
}

TEST_F(ModelFiles, PromptsBeginWithoutBosWhereTheTokenizerSaysSo) {
  set_json("tokenizer_config.json", "add_bos_token", false);
  for (const char* format : {"raw", "vicuna-v1.1", "llama-2-chat", "chatml", "alpaca"}) {
    const auto ids = [&](const char* bos) {
      return run_json({"--set", std::string("prompt.format=") + format, "--set",
                       std::string("prompt.bos=") + bos})
          .json()["prompt_ids"]
          .get<std::vector<int>>();
    };
    const std::vector<int> plain = ids("auto");
    EXPECT_EQ(std::ranges::count(plain, 1), 0) << format;
    EXPECT_EQ(ids("never"), plain) << format;
    std::vector<int> begun = ids("always");
    ASSERT_EQ(begun.front(), 1) << format;
    begun.erase(begun.begin());
    EXPECT_EQ(begun, plain) << format;
  }
}

TEST_F(ModelFiles, AnOptionThatConfigJsonGivesIsTheModelsFault) {
  set_json("config.json", "rope_scaling",
           {{"rope_type", "llama3"},
            {"factor", 8.0},
            {"low_freq_factor", 4.0},
            {"high_freq_factor", 4.0},
            {"original_max_position_embeddings", 64}});
  const Outcome outcome = run({"--prompt", "hi"});
  EXPECT_EQ(outcome.code, 3) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("error: " + (model_ / "config.json").string() + ": rope_scaling: "));
  EXPECT_THAT(outcome.err, Not(HasSubstr("..")));
  EXPECT_EQ(run_program({"inspect", config_}, "").code, 3);
  // The same from the configuration is the user's.
  EXPECT_EQ(run({"--prompt", "hi", "--set",
                 "rope={policy: llama3, factor: 8, low_freq_factor: 4, high_freq_factor: 4, "
                 "original_max_position_embeddings: 64}"})
                .code,
            2);
}

TEST_F(ModelFiles, TextsThatAreNotCleanAreRefusedOrReadAloud) {
  EXPECT_THAT(run({"--prompt", "gr\xfc\xdf"}).err,
              HasSubstr("--prompt: is not UTF-8 at byte 2. Use a UTF-8 locale, or --prompt-file."));
  const auto with_file = [&](std::string_view bytes) {
    return run({"--prompt-file", folder_.write("p.txt", bytes)});
  };
  const auto refused = [&](std::string_view bytes, const std::string& said) {
    const Outcome outcome = with_file(bytes);
    EXPECT_EQ(outcome.code, 2);
    EXPECT_THAT(outcome.err, HasSubstr(said));
  };
  using namespace std::literals;
  refused("caf\xe9", "p.txt: is not UTF-8 at byte 3");
  refused("\xff\xfeh\0i\0"sv, "is not UTF-8 at byte 0: it begins as UTF-16 does");
  refused("h\0i\0"sv, "p.txt: has a NUL at byte 1");
  const std::string plain = with_file("two\nlines\n").out;
  const Outcome marked = with_file("\xef\xbb\xbftwo\nlines\n");
  EXPECT_EQ(marked.out, plain);
  EXPECT_THAT(marked.err, HasSubstr("byte-order mark at its beginning is skipped"));
  const Outcome returns = with_file("two\r\nlines\r\n");
  EXPECT_EQ(returns.out, plain);
  EXPECT_THAT(returns.err, HasSubstr("its lines end in CR LF, which is read as LF"));
  // Ids and messages as Windows saves them.
  const auto ids_of = [&](std::string_view bytes) {
    return run({"--prompt-ids", folder_.write("ids", bytes), "--json"}).json()["prompt_ids"];
  };
  EXPECT_EQ(ids_of("\xef\xbb\xbf"
                   "926 5\r\n7\r\n"),
            ids_of("926 5\n7\n"));
  const auto rendered = [&](std::string_view bytes) {
    return run_program({"render", config_, "--messages", folder_.write("m.json", bytes)}, "").out;
  };
  const std::string messages = R"([{"role": "user", "content": "hi"}])";
  EXPECT_EQ(rendered("\xef\xbb\xbf" + messages + "\r\n"), rendered(messages));
  EXPECT_NE(rendered(messages), "");
  const Outcome input = run({"--input", folder_.write("i.txt", "\xe9"), "--instruction", "what"});
  EXPECT_EQ(input.code, 2);
  EXPECT_THAT(input.err, HasSubstr("i.txt: is not UTF-8 at byte 0"));
}

TEST_F(ModelFiles, ATokenizerOfAnotherModelIsSpokenOfBeforeTheWeightsAreRead) {
  write_small_model(model_, {.padding = 1024});
  const std::string said =
      "the tokenizer has 1024 ids, the model 2048 rows; it is probably another";
  EXPECT_THAT(run({"--prompt", "hi"}).err, HasSubstr(said));
  EXPECT_THAT(run_program({"inspect", model_.string()}, "").err, HasSubstr(said));
  write_small_model(model_, {.padding = 64});
  EXPECT_EQ(run({"--prompt", "hi"}).err, "");
}

TEST_F(ModelFiles, IdsStayIdsWithoutATokenizer) {
  const std::string ids = folder_.write("ids", "926 5 7");
  const Json whole = run({"--prompt-ids", ids, "--json"}).json();
  for (const char* left : {"tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"})
    fs::remove(model_ / left);
  const Outcome outcome = run({"--prompt-ids", ids, "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("note: "), HasSubstr("the reply is ids without text")));
  EXPECT_FALSE(outcome.json().contains("text"));
  EXPECT_EQ(outcome.json()["ids"], whole["ids"]);
  const std::string plain = run({"--prompt-ids", ids}).out;
  EXPECT_EQ(static_cast<size_t>(std::ranges::count(plain, ' ')), whole["ids"].size() - 1);
  EXPECT_EQ(run({"--prompt", "hi"}).code, 3);
}

TEST_F(ModelFiles, AFileOfAModelIsNoConfiguration) {
  const Outcome weights = run_program({"run", (model_ / "model.safetensors").string()}, "hi");
  EXPECT_EQ(weights.code, 2);
  EXPECT_THAT(weights.err, HasSubstr("is a file of a model, expected a configuration or a model's "
                                     "folder. Give the folder: " +
                                     model_.string() + "."));
  EXPECT_THAT(run_program({"run", (model_ / "tokenizer.model").string()}, "hi").err,
              HasSubstr("tokenizer.model: is a file of a model"));
  fs::rename(model_ / "model.safetensors", folder_.path() / "weights");
  EXPECT_THAT(run_program({"run", (folder_.path() / "weights").string()}, "hi").err,
              HasSubstr("weights: is a file of a model"));
  // What is beside a config.json is the model's, whatever YAML makes of it.
  write_file(model_ / "model.safetensors.index.json", R"({"weight_map": {}})");
  EXPECT_THAT(run_program({"run", (model_ / "model.safetensors.index.json").string()}, "hi").err,
              HasSubstr("index.json: is a file of a model"));
  const std::string gguf = folder_.write("x.gguf", "GGUF");
  EXPECT_THAT(run_program({"inspect", gguf}, "").err, HasSubstr("x.gguf: is a GGUF file"));
  EXPECT_THAT(run_program({"run", folder_.write("blob", "GGUF\3\0\0")}, "hi").err,
              HasSubstr("blob: is a GGUF file"));
}

TEST_F(ModelFiles, AGitLfsPointerIsNamedWhateverFileItStandsFor) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
  for (const char* name : {"model.safetensors", "tokenizer.model", "tokenizer_config.json"}) {
    const std::string whole = read_file(model_ / name);
    write_file(model_ / name, pointer);
    const Outcome outcome = run({"--prompt", "hi"});
    EXPECT_EQ(outcome.code, 3) << name;
    EXPECT_THAT(outcome.err, HasSubstr(std::string(name) +
                                       ": is a Git LFS pointer, expected the file itself. Run git "
                                       "lfs pull in the model's folder."));
    write_file(model_ / name, whole);
  }
  EXPECT_THAT(run_program({"run", folder_.write("x.yaml", pointer)}, "hi").err,
              HasSubstr("x.yaml: is a Git LFS pointer"));
}

// What a server answers where there is no such file.
TEST_F(ModelFiles, ATextInPlaceOfABinaryFileIsCalledOne) {
  for (const char* name : {"model.safetensors", "tokenizer.model"}) {
    const std::string whole = read_file(model_ / name);
    write_file(model_ / name, "Entry not found");
    const Outcome outcome = run({"--prompt", "hi"});
    EXPECT_EQ(outcome.code, 3) << name;
    EXPECT_THAT(outcome.err, HasSubstr((model_ / name).string() +
                                       ": is a text that begins with \"Entry no\", expected"));
    write_file(model_ / name, whole);
  }
}

// Windows' editor puts it there; it changes nothing.
TEST_F(ModelFiles, AByteOrderMarkIsNoPartOfAFile) {
  const std::string expected = run({"--prompt", "hi"}).out;
  for (const char* name : {"config.json", "tokenizer_config.json"})
    write_file(model_ / name, "\xef\xbb\xbf" + read_file(model_ / name));
  EXPECT_EQ(run({"--prompt", "hi"}).out, expected);
}

// Two folders have files of one name.
TEST_F(ModelFiles, AFileOfTheTokenizerIsNamedWithItsFolder) {
  set_json("tokenizer_config.json", "add_bos_token", "yes");
  EXPECT_THAT(run({"--prompt", "hi"}).err,
              HasSubstr("error: " + (model_ / "tokenizer_config.json").string() +
                        ": add_bos_token: found \"yes\""));
}

TEST_F(ModelFiles, AnAdapterIsNoModel) {
  fs::rename(model_ / "config.json", model_ / "adapter_config.json");
  set_json("adapter_config.json", "base_model_name_or_path", "org/base");
  const Outcome outcome = run({"--prompt", "hi"});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err,
              HasSubstr("adapter_config.json: is a PEFT adapter, expected a model with "
                        "config.json. Merge it with `ropewalk adapter merge org/base --adapter " +
                        model_.string() + " --out MODEL`, and give MODEL."));
}

// The tokenizer of such a model is another kind too, but that is not why it cannot be run.
TEST_F(ModelFiles, AModelOfAnotherArchitectureIsRefusedByItsName) {
  set_json("config.json", "model_type", "t5");
  set_json("config.json", "architectures", {"T5ForConditionalGeneration"});
  fs::remove(model_ / "tokenizer.model");
  write_file(model_ / "tokenizer.json", R"({"model": {"type": "Unigram", "vocab": []}})");
  for (const Arguments& command :
       {Arguments{"run", config_, "--prompt", "hi"}, Arguments{"inspect", config_},
        Arguments{"tokenize", config_, "--text", "-"},
        Arguments{"perplexity", config_, "--text", "-", "--context", "8"}}) {
    const Outcome outcome = run_program(command, "hi");
    EXPECT_EQ(outcome.code, 3) << command.front();
    EXPECT_THAT(outcome.err, HasSubstr("config.json: model_type: found \"t5\"")) << command.front();
  }
}

TEST_F(ModelFiles, AFolderOrAnEntryOfTheCacheTakesTheConfigurationsPlace) {
  const std::string expected =
      run_program({"run", config_, "--prompt", "hi", "--max-new-tokens", "4"}, "").out;
  const Arguments rest = {"--prompt", "hi", "--max-new-tokens", "4", "--backend", "cpu"};
  const auto answer_of = [&](const std::string& target) {
    Arguments all = {"run", target};
    all.insert(all.end(), rest.begin(), rest.end());
    return run_program(all, "");
  };
  EXPECT_EQ(answer_of(model_.string()).out, expected);

  const fs::path repository = folder_.path() / "hub/models--org--small";
  fs::create_directories(repository / "snapshots");
  fs::create_directories(repository / "refs");
  fs::create_directories(repository / "blobs");
  write_file(repository / "refs/main", "feed");
  fs::copy(model_, repository / "snapshots/feed");
  fs::rename(repository / "snapshots/feed/model.safetensors", repository / "blobs/abc");
  fs::create_symlink("../../blobs/abc", repository / "snapshots/feed/model.safetensors");
  setenv("HF_HUB_CACHE", (folder_.path() / "hub").c_str(), 1);
  EXPECT_EQ(answer_of("org/small").out, expected);
  EXPECT_EQ(answer_of("org/small:feed").out, expected);
  EXPECT_EQ(answer_of(repository.string()).out, expected);
  const std::string ids = folder_.write("ids", "926 5 7");
  EXPECT_EQ(run_program({"score", "org/small", "--ids", ids}, "").code, 0);
  EXPECT_EQ(run_program({"inspect", "org/small"}, "").code, 0);
  EXPECT_EQ(run_program({"tokenize", "org/small", "--text", "-"}, "hi").code, 0);

  const Outcome missing = answer_of("org/other:v2");
  EXPECT_EQ(missing.code, 3);
  EXPECT_THAT(missing.err, HasSubstr("Download it: hf download org/other --revision v2."));
  EXPECT_EQ(run_program({"tokenize", "org/other", "--text", "-"}, "hi").code, 3);
  EXPECT_EQ(run_program({"score", "org/other", "--ids", ids}, "").code, 3);
  unsetenv("HF_HUB_CACHE");
}

TEST_F(ModelFiles, AKnownChatTemplateChoosesTheFormatWhereNoneIsNamed) {
  const auto ids = [&](const Arguments& arguments) {
    return run_json(arguments).json()["prompt_ids"];
  };
  const auto inspected = [&] {
    return run_program({"inspect", config_, "--json"}, "").json()["prompt"];
  };
  const Json raw = ids({});
  EXPECT_EQ(run_json({}).err, "");
  EXPECT_EQ(inspected()["from"], "default");
  EXPECT_EQ(inspected()["why"], "the model's folder has no chat template");

  set_json("tokenizer_config.json", "chat_template",
           read_file(RW_FIXTURES "/prompts/zephyr.jinja"));
  const Json zephyr = ids({"--set", "prompt.format=zephyr"});
  EXPECT_NE(zephyr, raw);
  EXPECT_EQ(ids({}), zephyr);
  EXPECT_EQ(ids({"--set", "prompt.format=raw"}), raw);
  const std::string note =
      "note: prompt format zephyr, by the chat template of tokenizer_config.json; prompt.format "
      "names another\n";
  EXPECT_EQ(run_json({}).err, note);
  const std::string messages = R"([{"role": "user", "content": "hi"}])";
  const Outcome rendered = run_program({"render", config_, "--messages", "-"}, messages);
  EXPECT_THAT(rendered.out, HasSubstr("<|user|>\nhi"));
  EXPECT_EQ(rendered.err, note);
  EXPECT_EQ(inspected()["format"], "zephyr");
  EXPECT_EQ(inspected()["from"], "the chat template of tokenizer_config.json");
  EXPECT_THAT(run_program({"chat", config_, "-n", "1"}, "hi\n").err, HasSubstr(note));

  set_json("tokenizer_config.json", "chat_template", "{{ messages }}");
  EXPECT_EQ(ids({}), raw);
  EXPECT_THAT(run_json({}).err,
              AllOf(HasSubstr("warning: prompts are raw text, because no format is known for the "
                              "chat template of tokenizer_config.json (SHA-256 "),
                    HasSubstr("Name a format in prompt.format")));
  EXPECT_EQ(run_json({"--set", "prompt.format=raw"}).err, "");
  EXPECT_THAT(inspected()["why"].get<std::string>(), HasSubstr("no format is known for"));
}

TEST_F(ModelFiles, ADumpShowsWhatTheModelDecides) {
  set_json("tokenizer_config.json", "chat_template",
           read_file(RW_FIXTURES "/prompts/zephyr.jinja"));
  set_json("config.json", "rope_scaling", {{"type", "linear"}, {"factor", 2.0}});
  const Outcome dump = run_program({"config", config_, "--dump"}, "");
  EXPECT_EQ(dump.code, 0) << dump.err;
  const std::string scaling = (model_ / "config.json").string() + ": rope_scaling\n";
  EXPECT_THAT(dump.out, HasSubstr("\nrope:\n  policy: linear  # " + scaling + "  factor: 2"));
  for (const char* line :
       {"\n  length: 256  # config.json\n",
        "\n  format: zephyr  # the chat template of tokenizer_config.json\n",
        "\n  source: sentencepiece  # tokenizer.model\n", "\n  legacy: true  # tokenizer.model\n"})
    EXPECT_THAT(dump.out, HasSubstr(line));
  // The dump means the same run, and the same dump.
  const std::string again = folder_.write("again.yaml", dump.out);
  EXPECT_EQ(run_program({"run", again, "--prompt", "hi", "--json"}, "").json()["logits_hash"],
            run_json({}).json()["logits_hash"]);
  EXPECT_THAT(run_program({"config", again, "--dump"}, "").out,
              HasSubstr("\n  policy: linear  # "));

  const Outcome vicuna =
      run_program({"config", config_, "--dump", "--set", "prompt.format=vicuna-v1.1"}, "");
  EXPECT_THAT(vicuna.out, HasSubstr("\n  system: \"A chat between a curious user"));
  EXPECT_THAT(vicuna.out, HasSubstr("  # vicuna-v1.1's own\n"));

  // A file that cannot be read is told of, and the rest is there.
  write_file(model_ / "tokenizer.model", "");
  const Outcome broken = run_program({"config", config_, "--dump"}, "");
  EXPECT_EQ(broken.code, 0);
  EXPECT_THAT(broken.err, HasSubstr("the keys that it decides are shown as they are written"));
  EXPECT_THAT(broken.out, HasSubstr("\n  length: 256  # config.json\n"));
  fs::remove_all(model_);
  const Outcome bare = run_program({"config", config_, "--dump"}, "");
  EXPECT_EQ(bare.err, "");
  EXPECT_THAT(bare.out, HasSubstr("# length: <what the model was trained for>  # default\n"));
}

}  // namespace
}  // namespace ropewalk::test
