// commands.h — the arguments of each subcommand, and the functions that run them.
//
// command_line.cpp fills the structs; no other file knows how these options are spelled. Every
// function prints its answer on stdout, throws what goes wrong, and returns the exit code, which
// differs from 0 only where a signal ended it, or where lines of a batch failed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config/trust.h"

namespace ropewalk {

// Options that every command has. `target` is CONFIG; empty: not given.
struct CommonArguments {
  std::string target = {};
  std::vector<std::string> overrides = {};  // of --set and its shorthands, in order
  Trust trust = Trust::warn;
  std::string trace = {};  // of `run` and `bench`: file for a trace of every step; empty: none
  bool json = false;
  bool quiet = false;
  bool verbose = false;
};

// --input FILE and the --meta that follow it.
struct InputArgument {
  std::string file;
  std::vector<std::string> metadata = {};  // "key=value"
};

struct RunArguments {
  CommonArguments common = {};
  std::optional<std::string> prompt = {};  // at most one of these three, the job, or inputs
  std::optional<std::string> prompt_file = {};
  std::optional<std::string> prompt_ids = {};
  std::optional<std::string> job = {};  // file
  std::vector<InputArgument> inputs = {};
  std::vector<std::string> instructions = {};
  bool plain = false;  // PLAINFORMAT after the instructions
};

struct ChatArguments {
  CommonArguments common = {};
};

struct ServeArguments {
  CommonArguments common = {};
};

struct BatchArguments {
  CommonArguments common = {};
  std::string input = {};
  std::string output = {};
  std::optional<std::string> errors = {};  // file for the lines that failed
  std::string shard = "0/1";
  std::optional<uint32_t> max_in_flight = {};
  bool retry_errors = false;
};

struct MergeArguments {
  CommonArguments common = {};
  std::string input = {};
  std::string output = {};
  std::vector<std::string> parts = {};
};

struct ScoreArguments {
  CommonArguments common = {};
  std::string ids = {};  // file
};

struct InspectArguments {
  CommonArguments common = {};
  bool verify = false;
};

struct PluginsArguments {
  CommonArguments common = {};
  std::string filter = {};  // a kind or a name; may stand in the target's place
  bool markdown = false;    // docs/plugins.md
};

struct NewArguments {
  CommonArguments common = {};
  std::string kind = {};
  std::string name = {};
  std::string into = ".";
  std::string model = {};  // of the example; empty: the bundled one
};

struct DevicesArguments {
  CommonArguments common = {};
};

struct ConfigArguments {
  CommonArguments common = {};
  bool dump = false;
};

struct TokenizeArguments {
  CommonArguments common = {};
  std::string text = {};  // file
  bool bos = false;
};

struct RenderArguments {
  CommonArguments common = {};
  std::string messages = {};  // file
};

struct BenchArguments {
  CommonArguments common = {};
  std::string shape = {};  // empty: the model of CONFIG
  std::string quant = {};
  uint32_t layers = 0;  // of the shape; 0: all
  std::vector<uint32_t> prompts = {};
  std::vector<uint32_t> batches = {};
  uint32_t decode = 0;    // steps
  uint32_t adapters = 0;  // of random numbers, which sequences share out
  uint32_t adapter_rank = 0;
};

int run(const RunArguments& arguments);
int chat(const ChatArguments& arguments);
int serve_http(const ServeArguments& arguments);
int answer_batch(const BatchArguments& arguments);
int merge_batch(const MergeArguments& arguments);
int score(const ScoreArguments& arguments);
int inspect(const InspectArguments& arguments);
int plugins(const PluginsArguments& arguments);
int new_plugin(const NewArguments& arguments);
int devices(const DevicesArguments& arguments);
int config(const ConfigArguments& arguments);
int tokenize(const TokenizeArguments& arguments);
int render(const RenderArguments& arguments);
int bench(const BenchArguments& arguments);

}  // namespace ropewalk
