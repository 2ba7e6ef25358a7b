// dataset_input.h — the text that perplexity and compare are measured on, and its hash.
#pragma once

#include <string>
#include <vector>

#include "apps/evaluation/evaluation_commands.h"
#include "core/config/config.h"
#include "core/engine/runtime.h"
#include "core/eval/perplexity.h"
#include "core/eval/windows.h"
#include "core/json/json_fwd.h"
#include "core/text/tokenizer.h"

namespace ropewalk {

struct Dataset {
  std::string file;
  std::string sha256;                       // of the file's bytes
  std::vector<std::vector<int32_t>> texts;  // one, or those of a JSON Lines file
  int32_t bos_id = 1;
};

// Reads the file and tokenises it as text. `llamacpp` adds BOS where the tokenizer does, as
// llama.cpp; `jsonl` tokenises every text alone. Throws Error(usage).
Dataset read_dataset(const DatasetArguments& arguments, const Config& config, Protocol protocol);

// Its windows; `jsonl` cuts each text to the window's length. Throws Error(limit) where the text is
// too short for one.
std::vector<ScoredWindow> windows_of(const Dataset& dataset, const WindowSettings& settings);

// What the figures depend on beside the text: {"device", "model", "rope", "activation",
// "kv_cache"}.
Json run_json(const Config& config, const Runtime& runtime);

}  // namespace ropewalk
