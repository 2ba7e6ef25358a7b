// recall.h — a text to be found again at a chosen depth of a long prompt.
//
// The prompt is a closed-context question (core/text/closed_context.h): one input holds the answer,
// the others surround it. Pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/closed_context.h"

namespace ropewalk {

struct RecallCase {
  ContextInput needle;
  std::string question;
  std::string answer;  // compared exactly
};

struct RecallData {
  std::vector<RecallCase> cases;
  std::vector<ContextInput> fillers;  // none answers a case's question
};

// JSON Lines: {"needle": INPUT, "question": "...", "answer": "..."} and {"filler": INPUT}, where
// INPUT is {"context": [["date", "2021-01-01"], ...], "text": "..."}. Throws Error(usage) with
// FILE:LINE, and where there is no case.
RecallData parse_recall(std::string_view jsonl, const std::string& file);

// The user's message with the case's needle among `fillers` other inputs. The fraction `depth` (0
// to 1) of them, rounded, stands before the needle. Each case starts at a different filler and
// wraps around. REQUIRES: fillers <= data.fillers.size().
std::string recall_prompt(const RecallData& data, size_t which, size_t fillers, double depth);

// The largest number of fillers with length_of(fillers) <= length. Throws Error(limit) where the
// needle alone does not fit. REQUIRES: length_of() grows with its argument.
size_t fillers_within(const RecallData& data, uint32_t length,
                      const std::function<uint32_t(size_t fillers)>& length_of);

}  // namespace ropewalk
