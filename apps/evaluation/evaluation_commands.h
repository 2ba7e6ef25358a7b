// evaluation_commands.h — as commands.h, for the commands that measure a model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/commands.h"

namespace ropewalk {

// The text of a measurement: exactly one of the two files.
struct DatasetArguments {
  std::optional<std::string> text = {};
  std::optional<std::string> ids = {};
};

struct PerplexityArguments {
  CommonArguments common = {};
  DatasetArguments dataset = {};
  std::vector<uint32_t> contexts = {};
  std::string protocol = {};
  std::optional<uint32_t> stride = {};   // of hf-stride; absent: half the context
  std::optional<uint32_t> last = {};     // positions of each window; absent: all
  std::optional<uint32_t> windows = {};  // at most so many of each context
  bool csv = false;
};

struct CompareArguments {
  CommonArguments common = {};  // its target is A
  std::string other = {};       // B's configuration
  DatasetArguments dataset = {};
  uint32_t context = 0;
  std::optional<uint32_t> windows = {};
};

struct RecallArguments {
  CommonArguments common = {};
  std::string data = {};  // file
  std::vector<uint32_t> lengths = {};
  std::vector<double> depths = {};
  std::optional<uint32_t> cases = {};  // at most so many
  bool csv = false;
};

struct MmluArguments {
  CommonArguments common = {};
  std::string data = {};  // folder with dev and test
  std::string form = {};
  uint32_t shots = 0;
  std::vector<std::string> subjects = {};  // empty: all
  std::optional<uint32_t> questions = {};  // at most so many of each subject
  bool no_bos = false;
  bool details = false;  // every question in the JSON answer
};

int perplexity(const PerplexityArguments& arguments);
int compare(const CompareArguments& arguments);
int recall(const RecallArguments& arguments);
int mmlu(const MmluArguments& arguments);

}  // namespace ropewalk
