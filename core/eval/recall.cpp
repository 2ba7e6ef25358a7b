#include "core/eval/recall.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/json/json.h"

namespace ropewalk {
namespace {

// Consecutive cases start this many fillers apart, so that no filler always comes first.
constexpr size_t kFillersApart = 7;

ContextInput input_of(const JsonFields& fields) {
  constexpr const char* kForm = "Write it as [[KEY, VALUE], ...]";
  ContextInput input;
  input.where = "recall data";
  if (fields.has("context")) {
    const Json& context = fields.json()["context"];
    if (!context.is_array()) fields.fail("context", "is not a list", kForm);
    for (const Json& entry : context) {
      if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_string())
        fields.fail("context", "holds something other than pairs of texts", kForm);
      input.metadata.push_back({entry[0].get<std::string>(), entry[1].get<std::string>()});
    }
  }
  input.text = fields.text("text");
  return input;
}

}  // namespace

RecallData parse_recall(std::string_view jsonl, const std::string& file) {
  RecallData data;
  const auto take = [&](const Json& object, const JsonSource& line) {
    const JsonFields fields(object, line, "");
    if (fields.has("filler")) {
      data.fillers.push_back(input_of(fields.child("filler")));
    } else {
      data.cases.push_back(
          {input_of(fields.child("needle")), fields.text("question"), fields.text("answer")});
    }
    return true;
  };
  for_each_json_line(jsonl, {file, ExitCode::usage}, take);
  if (data.cases.empty())
    throw Error(ExitCode::usage, file, "found no line with a needle, expected at least one", "");
  return data;
}

std::string recall_prompt(const RecallData& data, size_t which, size_t fillers, double depth) {
  const RecallCase& asked = data.cases[which];
  const auto before = std::lround(depth * static_cast<double>(fillers));
  std::vector<ContextInput> inputs;
  for (size_t i = 0; i < fillers; ++i)
    inputs.push_back(data.fillers[(which * kFillersApart + i) % data.fillers.size()]);
  inputs.insert(inputs.begin() + before, asked.needle);
  return closed_context_prompt(inputs, {&asked.question, 1});
}

size_t fillers_within(const RecallData& data, uint32_t length,
                      const std::function<uint32_t(size_t fillers)>& length_of) {
  const uint32_t alone = length_of(0);
  if (alone > length)
    throw Error(
        ExitCode::limit, "--length",
        fmt::format("found {}, the question alone has {} tokens with its answer", length, alone),
        "Ask for a longer prompt");
  size_t fits = 0, beyond = data.fillers.size() + 1;
  while (fits + 1 < beyond) {
    const size_t middle = (fits + beyond) / 2;
    (length_of(middle) <= length ? fits : beyond) = middle;
  }
  return fits;
}

}  // namespace ropewalk
