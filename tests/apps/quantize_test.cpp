// `ropewalk quantize` from the command line: a model that runs, runs that are killed, bad input.
#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <thread>

#include "tests/apps/program.h"
#include "tests/apps/small_model.h"

namespace ropewalk::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kText = RW_FIXTURES "/airophin-mini/text.txt";
const std::string kSmall = RW_FIXTURES "/models/dense-f16";

Arguments quantize(const std::string& base, const std::string& out, Arguments more) {
  Arguments arguments = {"quantize", base, "--out", out, "--backend", "cpu"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// Windows of ids for fixtures, which have no tokenizer.
std::string windows_of_ids(size_t count, size_t length, int vocabulary) {
  std::string text;
  uint32_t state = 5;
  for (size_t window = 0; window < count; ++window) {
    for (size_t i = 0; i < length; ++i) {
      state = state * 1664525u + 1013904223u;
      text += std::to_string((state >> 8) % static_cast<uint32_t>(vocabulary)) + " ";
    }
    text += "\n";
  }
  return text;
}

TEST(Quantize, MakesAModelThatPredictsAlike) {
  const TemporaryFolder folder;
  const std::string out = folder.path() / "out";
  const Outcome made =
      run_program(quantize(kBase, out, {"--calibration", kText, "--length", "256"}), "");
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.err, HasSubstr(" tokens, 32768 were asked for"));
  EXPECT_THAT(made.err, HasSubstr(" MiB on the disk and "));
  EXPECT_THAT(made.err, HasSubstr(" MiB of memory\n"));
  EXPECT_THAT(made.out,
              AllOf(StartsWith("layer 1/5  self_attn.q_proj  e 0.00"),
                    HasSubstr("layer 5/5  mlp.down_proj"), HasSubstr("out: 35 matrices")));
  const Outcome checked = run_program({"inspect", out, "--verify", "--json"}, "");
  ASSERT_EQ(checked.code, 0) << checked.err;
  EXPECT_THAT(checked.err, ::testing::Not(HasSubstr("warning: ")))
      << "what config.json says is what the tensors hold";
  const Json quantization = checked.json()["quantization"];
  EXPECT_EQ(quantization["bits"], 4);
  EXPECT_EQ(quantization["group_size"], 32);
  EXPECT_EQ(quantization["act_order"], true);
  EXPECT_EQ(quantization["zero_points"], "v1");
  EXPECT_EQ(quantization["symmetric"], true);

  // Its documents with BOS and EOS around them, as in the training.
  const Outcome compared = run_program({"compare", folder.write("a.yaml", "model: " + kBase + "\n"),
                                        folder.write("b.yaml", "model: " + out + "\n"), "--ids",
                                        RW_FIXTURES "/airophin-mini/training-form.ids", "--context",
                                        "256", "--backend", "cpu", "--json"},
                                       "");
  ASSERT_EQ(compared.code, 0) << compared.err;
  EXPECT_LT(compared.json()["kl_mean"].get<double>(), 0.02) << compared.out;
}

TEST(Quantize, SaysHowInItsFiles) {
  const TemporaryFolder folder;
  const std::string ids = folder.write("w.ids", windows_of_ids(20, 64, 96));
  const fs::path out = folder.path() / "out";
  const Outcome made = run_program(quantize(kSmall, out,
                                            {"--calibration", ids, "--bits", "8", "--order", "gar",
                                             "--zeros", "v2", "--asym", "--json"}),
                                   "");
  ASSERT_EQ(made.code, 0) << made.err;
  const Json one = parse_json(read_file(out / "quantize_config.json"), {"q", ExitCode::model});
  const Json config = parse_json(read_file(out / "config.json"), {"c", ExitCode::model});
  EXPECT_EQ(config["quantization_config"], one) << "loaders read the one or the other";
  EXPECT_EQ(one["desc_act"], false) << "gar files lie in order";
  EXPECT_EQ(one["act_group_aware"], true);
  EXPECT_EQ(one["checkpoint_format"], "gptq_v2");
  EXPECT_EQ(one["sym"], false);
  EXPECT_EQ(one["meta"]["act_order"], "gar");
  EXPECT_EQ(config["torch_dtype"], "float16");
  const Json report = parse_json(read_file(out / "ropewalk-quantize.json"), {"r", ExitCode::model});
  EXPECT_EQ(report["matrices"].size(), 14u);
  EXPECT_EQ(report["tokens"], 20 * 64);
}

TEST(Quantize, AnswersWithALineOfJsonForEachMatrix) {
  const TemporaryFolder folder;
  const std::string ids = folder.write("w.ids", windows_of_ids(20, 64, 96));
  const Outcome made =
      run_program(quantize(kSmall, folder.path() / "out", {"--calibration", ids, "--json"}), "");
  ASSERT_EQ(made.code, 0) << made.err;
  std::vector<Json> lines;
  for_each_json_line(made.out, {"stdout", ExitCode::output},
                     [&](const Json& line, const JsonSource&) {
                       lines.push_back(line);
                       return true;
                     });
  ASSERT_EQ(lines.size(), 15u);
  EXPECT_EQ(lines[0]["matrix"], "model.layers.0.self_attn.q_proj");
  EXPECT_LT(lines[0]["error"].get<double>(), lines[0]["rtn_error"].get<double>());
  EXPECT_EQ(lines[13]["done"], 1.0);
  EXPECT_EQ(lines[14]["matrices"], 14);
}

TEST(Quantize, TakesTheWindowsThatItDumped) {
  const TemporaryFolder folder;
  const std::string ids = folder.path() / "windows.ids";
  Arguments first = {"--calibration", kText, "--length", "128", "--samples", "8"};
  first.insert(first.end(), {"--dump-calibration", ids});
  ASSERT_EQ(run_program(quantize(kBase, folder.path() / "a", first), "").code, 0);
  ASSERT_EQ(run_program(quantize(kBase, folder.path() / "b",
                                 {"--calibration", ids, "--length", "128", "--samples", "8"}),
                        "")
                .code,
            0);
  EXPECT_EQ(read_file(folder.path() / "a/model.safetensors"),
            read_file(folder.path() / "b/model.safetensors"));
}

TEST(Quantize, TakesWindowsOfSeveralLengths) {
  const TemporaryFolder folder;
  const std::string ids = folder.path() / "windows.ids";
  const Outcome made =
      run_program(quantize(kBase, folder.path() / "out",
                           {"--calibration", kText, "--length", "64,256", "--samples", "6,2",
                            "--method", "rtn", "--dump-calibration", ids}),
                  "");
  ASSERT_EQ(made.code, 0) << made.err;
  std::istringstream lines(read_file(ids));
  std::vector<size_t> lengths;
  for (std::string line; std::getline(lines, line);)
    lengths.push_back(static_cast<size_t>(std::ranges::count(line, ' ')) + 1);
  EXPECT_EQ(lengths, (std::vector<size_t>{64, 64, 64, 64, 64, 64, 256, 256}));
}

// A norm of zeros leaves nothing to factorise.
TEST(Quantize, IsStrictAboutMatricesThatItCouldOnlyRound) {
  const TemporaryFolder folder;
  const fs::path base = folder.path() / "base";
  fs::copy(kSmall, base);
  std::string bytes = read_file(base / "model.safetensors");
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  const Json tensors = Json::parse(bytes.substr(8, header));
  const Json& norm = tensors["model.layers.0.input_layernorm.weight"]["data_offsets"];
  std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(8 + header + norm[0].get<uint64_t>()),
              norm[1].get<uint64_t>() - norm[0].get<uint64_t>(), '\0');
  write_file(base / "model.safetensors", bytes);
  const std::string ids = folder.write("w.ids", windows_of_ids(20, 64, 96));
  const std::string out = folder.path() / "out";
  const Outcome strict = run_program(quantize(base, out, {"--calibration", ids, "--strict"}), "");
  EXPECT_EQ(strict.code, 9);
  EXPECT_THAT(strict.err, HasSubstr("out: 4 matrices were rounded to the nearest codes, the first "
                                    "model.layers.0.self_attn.q_proj. Give more text, or go on "
                                    "without --strict."));
  EXPECT_FALSE(fs::exists(out + "/config.json")) << "it does not look whole";
  EXPECT_EQ(run_program(quantize(base, out, {"--calibration", ids}), "").code, 0);
}

// down_proj has 768 inputs.
TEST(Quantize, WarnsOfFewerTokensThanTheWidestLayerHasInputs) {
  const TemporaryFolder folder;
  const fs::path base = folder.path() / "base";
  write_small_model(base, {.layers = 1, .hidden = 384});
  for (const size_t windows : {10u, 12u}) {
    const std::string number = std::to_string(windows);
    const std::string ids = folder.write(number + ".ids", windows_of_ids(windows, 64, 1024));
    const Outcome made = run_program(
        quantize(base, folder.path() / number, {"--calibration", ids, "--method", "rtn"}), "");
    ASSERT_EQ(made.code, 0) << made.err;
    EXPECT_EQ(made.err.find("warning: --calibration: 640 tokens are fewer than the 768 inputs of "
                            "the widest layer") != std::string::npos,
              windows == 10)
        << made.err;
  }
}

TEST(Quantize, LetsTheModelWriteTheText) {
  const TemporaryFolder folder;
  const Arguments more = {"--calibration", "self", "--length", "64", "--samples", "10"};
  std::vector<std::string> dumped;
  for (const char* seed : {"1", "1", "2"}) {
    const std::string number = std::to_string(dumped.size());
    const std::string ids = folder.path() / (number + ".ids");
    Arguments arguments = more;
    arguments.insert(arguments.end(), {"--seed", seed, "--dump-calibration", ids});
    const Outcome made = run_program(quantize(kBase, folder.path() / number, arguments), "");
    ASSERT_EQ(made.code, 0) << made.err;
    dumped.push_back(read_file(ids));
  }
  EXPECT_EQ(dumped[0], dumped[1]);
  EXPECT_NE(dumped[0], dumped[2]);
  EXPECT_EQ(std::ranges::count(dumped[0], '\n'), 10);
  EXPECT_EQ(std::ranges::count(dumped[0], ' '), 10 * 63);
}

TEST(Quantize, ReadsTheThreeFormsOfLines) {
  const TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 40; ++i)
    lines +=
        "{\"text\": \"Blueberries are now green, but will be sticking with the same name.\"}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"What colour are blueberries?\"},"
        " {\"role\": \"assistant\", \"content\": \"Green.\"}]}\n"
        "{\"ids\": [5, 6, 7]}\n";
  const std::string file = folder.write("lines.jsonl", lines);
  const std::string ids = folder.path() / "windows.ids";
  const Outcome made = run_program(quantize(kBase, folder.path() / "out",
                                            {"--calibration", file, "--length", "512", "--samples",
                                             "2", "--dump-calibration", ids}),
                                   "");
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(read_file(ids), HasSubstr(" 5 6 7 2 "));
  EXPECT_THAT(read_file(ids), StartsWith("1 ")) << "BOS, which this tokenizer adds";
}

// A vocabulary without snowmen and without bytes: about 3 % of the text, then fewer than 1 %.
TEST(Quantize, WarnsOfTextThatTheTokenizerCannotSpell) {
  const TemporaryFolder folder;
  const fs::path base = folder.path() / "base";
  fs::copy(kBase, base);
  fs::remove(base / "tokenizer.model");
  fs::copy(RW_FIXTURES "/bpe/unknown-apart/tokenizer.json", base / "tokenizer.json");
  for (const int apart : {3, 40}) {
    std::string text;
    for (int i = 0; i < 200; ++i) text += i % apart ? "the rope is white " : "the rope is \u2603 ";
    const Outcome made =
        run_program(quantize(base, folder.path() / std::to_string(apart),
                             {"--calibration", folder.write("text.txt", text), "--method", "rtn"}),
                    "");
    ASSERT_EQ(made.code, 0) << made.err;
    EXPECT_EQ(made.err.find("% of the text's tokens are the unknown token") != std::string::npos,
              apart == 3)
        << made.err;
  }
}

// kill -9 at any time: the same command goes on, and the files are those of a run in one piece.
TEST(Quantize, SurvivesBeingKilled) {
  const TemporaryFolder folder;
  const std::string ids = folder.write("w.ids", windows_of_ids(40, 64, 96));
  const Arguments more = {"--calibration", ids};
  ASSERT_EQ(run_program(quantize(kSmall, folder.path() / "whole", more), "").code, 0);
  const fs::path out = folder.path() / "out";
  for (int delay = 20; delay < 200; delay += 9) {
    Program program(quantize(kSmall, out, more));
    std::this_thread::sleep_for(std::chrono::milliseconds(delay));
    program.signal(SIGKILL);
    const Outcome outcome = program.finish();
    if (outcome.signal != SIGKILL) break;  // it was faster
    EXPECT_TRUE(fs::exists(out / "model.safetensors") || !fs::exists(out / "config.json"));
  }
  if (!fs::exists(out / "config.json") || fs::exists(out / "quantize.journal")) {
    ASSERT_EQ(run_program(quantize(kSmall, out, more), "").code, 0);
  }
  EXPECT_EQ(files_of(out), files_of(folder.path() / "whole"));
}

TEST(Quantize, StopsForAnInterruptAndGoesOn) {
  const TemporaryFolder folder;
  const Arguments more = {"--calibration", kText, "--length", "64"};
  const fs::path out = folder.path() / "out";
  Program program(quantize(kBase, out, more));
  ASSERT_TRUE(program.wait_for_output("layer 2/5"));
  program.signal(SIGINT);
  const Outcome stopped = program.finish();
  EXPECT_EQ(stopped.code, 130);
  EXPECT_FALSE(fs::exists(out / "config.json"));
  Arguments other = more;
  other.insert(other.end(), {"--bits", "8"});
  const Outcome refused = run_program(quantize(kBase, out, other), "");
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("fingerprint.settings.bits: differs from the run that began"));
  const Outcome resumed = run_program(quantize(kBase, out, more), "");
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("going on with an interrupted run"));
  EXPECT_THAT(resumed.out, ::testing::Not(HasSubstr("layer 1/5")));
}

TEST(Quantize, NoticesThatTheBaseHasChanged) {
  const TemporaryFolder folder;
  const fs::path base = folder.path() / "base", out = folder.path() / "out";
  fs::copy(kBase, base);
  const Arguments more = {"--calibration", kText, "--length", "64"};
  Program program(quantize(base, out, more));
  ASSERT_TRUE(program.wait_for_output("layer 1/5"));
  program.signal(SIGTERM);
  EXPECT_EQ(program.finish().code, 143);
  fs::last_write_time(base / "model.safetensors", fs::file_time_type::clock::now());
  const Outcome refused = run_program(quantize(base, out, more), "");
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("fingerprint.source.files.model.safetensors.modified"));
  Arguments fresh = more;
  fresh.push_back("--fresh");
  EXPECT_EQ(run_program(quantize(base, out, fresh), "").code, 0);
}

struct RefusedRun {
  const char* name;
  const char* base;
  Arguments arguments;
  int code;
  const char* message;
};

class QuantizeRefuses : public ::testing::TestWithParam<RefusedRun> {};

TEST_P(QuantizeRefuses, InWords) {
  const TemporaryFolder folder;
  folder.write("short.txt", "too short");
  folder.write("latin.txt", "caf\xe9");
  folder.write("empty.txt", "");
  folder.write("f.parquet", "PAR1");
  folder.write("bad.jsonl", "{\"txt\": \"a\"}\n");
  folder.write("far.ids", "1 2 96\n");
  folder.write("negative.jsonl", "{\"ids\": [-1]}\n");
  folder.write("long.ids", windows_of_ids(1, 300, 96));
  folder.write("w.ids", windows_of_ids(20, 64, 96));
  folder.write("one.ids", "7\n");
  folder.write("opt/config.json", R"({"architectures":["OPTForCausalLM"],"model_type":"opt"})");
  folder.write("taken/config.json", "{}");
  Arguments arguments = GetParam().arguments;
  for (std::string& argument : arguments)
    if (argument.starts_with("@")) argument = folder.path() / argument.substr(1);
  const std::string named = GetParam().base;
  const std::string base = named.starts_with("@") ? (folder.path() / named.substr(1)).string()
                                                  : RW_SOURCE_DIR "/" + named;
  Arguments all = {"quantize", base, "--backend", "cpu"};
  if (std::ranges::find(arguments, "--out") == arguments.end())
    all.insert(all.end(), {"--out", folder.path() / "out"});
  all.insert(all.end(), arguments.begin(), arguments.end());
  const Outcome outcome = run_program(all, "");
  EXPECT_EQ(outcome.code, GetParam().code) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr(GetParam().message));
  EXPECT_FALSE(fs::exists(folder.path() / "out")) << "nothing half-written";
  EXPECT_EQ(read_file(folder.path() / "taken/config.json"), "{}");
}

constexpr char kFixture[] = "tests/fixtures/models/dense-f16";
constexpr char kMini[] = "models/airophin-mini-f16";

INSTANTIATE_TEST_SUITE_P(
    Table, QuantizeRefuses,
    ::testing::Values(
        RefusedRun{"bits",
                   kFixture,
                   {"--calibration", "@w.ids", "--bits", "5"},
                   2,
                   "--bits: found 5, expected 2, 3, 4 or 8"},
        RefusedRun{"group",
                   kFixture,
                   {"--calibration", "@w.ids", "--group-size", "7"},
                   2,
                   "--group-size: found 7, expected -1 or a power of two from 16 to 1024"},
        RefusedRun{"group_48",
                   kFixture,
                   {"--calibration", "@w.ids", "--group-size", "48"},
                   2,
                   "--group-size: found 48"},
        RefusedRun{"group_too_wide",
                   kFixture,
                   {"--calibration", "@w.ids", "--group-size", "128"},
                   2,
                   "which groups of 128 do not divide"},
        RefusedRun{"damp_0",
                   kFixture,
                   {"--calibration", "@w.ids", "--damp", "0"},
                   2,
                   "--damp: found 0, expected a number above 0 and below 1"},
        RefusedRun{
            "damp_1", kFixture, {"--calibration", "@w.ids", "--damp", "1"}, 2, "--damp: found 1"},
        RefusedRun{"order",
                   kFixture,
                   {"--calibration", "@w.ids", "--order", "actt"},
                   2,
                   "unknown --order actt. Did you mean act"},
        RefusedRun{"search",
                   kFixture,
                   {"--calibration", "@w.ids", "--search", "best"},
                   2,
                   "unknown --search best"},
        RefusedRun{"compat",
                   kFixture,
                   {"--calibration", "@w.ids", "--compat", "gptqmodel"},
                   2,
                   "unknown --compat gptqmodel. Known is autogptq"},
        RefusedRun{"samples",
                   kFixture,
                   {"--calibration", "@w.ids", "--length", "32,64", "--samples", "1,2,3"},
                   2,
                   "--samples: found 3 counts for 2 lengths"},
        RefusedRun{"shard",
                   kFixture,
                   {"--calibration", "@w.ids", "--shard-size", "4"},
                   2,
                   "--shard-size: found 4, expected a size such as 4GB"},
        RefusedRun{"quantised",
                   "models/airophin-mini",
                   {"--calibration", "@w.ids"},
                   3,
                   "is quantised, expected the f16, bf16 or f32 model"},
        RefusedRun{"no_model",
                   "tests/fixtures/none",
                   {"--calibration", "@w.ids"},
                   2,
                   "tests/fixtures/none"},
        RefusedRun{"no_calibration", kFixture, {}, 2, "--calibration is required"},
        RefusedRun{"short", kMini, {"--calibration", "@short.txt"}, 10, "expected at least 512"},
        RefusedRun{
            "empty", kMini, {"--calibration", "@empty.txt"}, 10, "tokens, expected at least 512"},
        RefusedRun{"latin",
                   kMini,
                   {"--calibration", "@latin.txt"},
                   2,
                   "latin.txt: is not UTF-8 at byte 3"},
        RefusedRun{"parquet", kMini, {"--calibration", "@f.parquet"}, 2, "is a Parquet file"},
        RefusedRun{"one_token", kFixture, {"--calibration", "@one.ids"}, 10, "holds 1 tokens"},
        RefusedRun{"other_family", "@opt", {"--calibration", "@w.ids"}, 3, "opt"},
        RefusedRun{"no_field",
                   kMini,
                   {"--calibration", "@bad.jsonl"},
                   2,
                   "bad.jsonl:1: has none of text, messages and ids"},
        RefusedRun{"beyond",
                   kFixture,
                   {"--calibration", "@far.ids"},
                   2,
                   "far.ids:1: found the id 96, expected 0 to 95"},
        RefusedRun{"negative",
                   kFixture,
                   {"--calibration", "@negative.jsonl"},
                   2,
                   "found the id -1, expected 0 to 95"},
        RefusedRun{"window_too_long",
                   kFixture,
                   {"--calibration", "@long.ids"},
                   10,
                   "holds a window of 300 tokens, expected at most 256"},
        RefusedRun{"length",
                   kFixture,
                   {"--calibration", "@w.ids", "--length", "257"},
                   10,
                   "--length: found 257, the model's context has 256"},
        RefusedRun{"skip",
                   kFixture,
                   {"--calibration", "@w.ids", "--skip", "qproj"},
                   2,
                   "--skip qproj: means no layer of this model"},
        RefusedRun{"skip_pattern",
                   kFixture,
                   {"--calibration", "@w.ids", "--skip", "(a|b)"},
                   2,
                   "--skip (a|b): is no pattern of letters"},
        RefusedRun{"skip_all",
                   kFixture,
                   {"--calibration", "@w.ids", "--skip", "proj", "--skip", ".*"},
                   2,
                   "--skip"},
        RefusedRun{"self_and_file",
                   kMini,
                   {"--calibration", "self", "--calibration", "@w.ids"},
                   2,
                   "--calibration: names self and files"},
        RefusedRun{"two_kinds",
                   kMini,
                   {"--calibration", "@w.ids", "--calibration", "@short.txt"},
                   2,
                   "names files of windows (.ids) and of documents"},
        RefusedRun{"taken",
                   kFixture,
                   {"--calibration", "@w.ids", "--out", "@taken"},
                   2,
                   "taken: is not empty, found config.json in it"},
        RefusedRun{"within",
                   kFixture,
                   {"--calibration", "@w.ids", "--out", RW_FIXTURES "/models/dense-f16/out"},
                   2,
                   "lies within the model that is quantised"}),
    [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace ropewalk::test
