// recall.cpp — `ropewalk recall CONFIG --data F --length 256,512`: whether the model finds a text,
// by its depth in a prompt of a given length.
#include "core/eval/recall.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/evaluation/dataset_input.h"
#include "apps/evaluation/evaluation_commands.h"
#include "apps/input.h"
#include "apps/messages.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "core/base/error.h"
#include "core/eval/dataset.h"
#include "core/generate/generate.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

// More tokens than a right answer needs, so that a reply that goes on counts as wrong.
constexpr uint32_t kSpareTokens = 16;

struct Cell {
  uint32_t length;
  double depth;
  uint32_t asked = 0, exact = 0;
  uint64_t prompt_tokens = 0;

  double share() const { return asked ? static_cast<double>(exact) / asked : 0; }
  double mean_prompt() const { return asked ? static_cast<double>(prompt_tokens) / asked : 0; }
};

std::vector<int32_t> ids_of(const Engine& engine, const std::string& user) {
  const std::vector<ChatMessage> messages =
      with_system(engine.text(), engine.config(), {{abi::Role::user, user}});
  return prompt_ids(engine.tokenizer(), render_messages(engine.text().format(), messages));
}

uint32_t reply_tokens(const Engine& engine, const RecallCase& asked) {
  const auto ids = engine.tokenizer().encode_text(asked.answer, SpecialTokens::as_text);
  return static_cast<uint32_t>(ids.size()) + kSpareTokens;
}

void ask(Engine& engine, CachedText& text, const RecallData& data, size_t which, Cell& cell,
         const StopRequest& stop) {
  const uint32_t max_new_tokens = reply_tokens(engine, data.cases[which]);
  const size_t fillers = fillers_within(data, cell.length, [&](size_t count) {
    const std::vector<int32_t> ids = ids_of(engine, recall_prompt(data, which, count, cell.depth));
    return static_cast<uint32_t>(ids.size()) + max_new_tokens;
  });
  Request request;
  request.prompt_ids = ids_of(engine, recall_prompt(data, which, fillers, cell.depth));
  request.max_new_tokens = max_new_tokens;
  request.stops = engine.text().stops(engine.config().generation.stop);
  GenerateEvents events;
  events.cancel = &stop.flag();
  const Reply reply = generate(engine, text, request, events);
  throw_if_stopped();
  ++cell.asked;
  cell.exact += reply.text == data.cases[which].answer;
  cell.prompt_tokens += request.prompt_ids.size();
}

void run_cells(Engine& engine, const RecallData& data, std::vector<Cell>& cells,
               const StopRequest& stop, Progress& line) {
  CachedText text(engine.runtime().cache(), engine.runtime().rope_tables());
  size_t done = 0;
  const size_t total = cells.size() * data.cases.size();
  for (Cell& cell : cells) {
    for (size_t which = 0; which < data.cases.size(); ++which) {
      ask(engine, text, data, which, cell, stop);
      line.show(static_cast<double>(++done) / static_cast<double>(total),
                fmt::format("{} tokens, depth {}: {} of {} right", cell.length, cell.depth,
                            cell.exact, cell.asked));
    }
  }
}

Json cells_json(const std::vector<Cell>& cells) {
  Json json = Json::array();
  for (const Cell& cell : cells)
    json.push_back({{"length", cell.length},
                    {"depth", cell.depth},
                    {"cases", cell.asked},
                    {"exact", cell.exact},
                    {"share", cell.asked ? Json(cell.share()) : Json(nullptr)},
                    {"mean_prompt_tokens", cell.mean_prompt()}});
  return json;
}

std::string cells_csv(const std::vector<Cell>& cells) {
  std::string csv = "length,depth,cases,exact,share,mean_prompt_tokens\n";
  for (const Cell& cell : cells)
    csv += fmt::format("{},{},{},{},{:.4f},{:.1f}\n", cell.length, cell.depth, cell.asked,
                       cell.exact, cell.share(), cell.mean_prompt());
  return csv;
}

// A row for each depth, a column for each length: exact answers in percent.
std::string cells_text(const RecallArguments& arguments, const std::vector<Cell>& cells) {
  std::string text = "depth";
  for (const uint32_t length : arguments.lengths) text += fmt::format("{:>8}", length);
  for (size_t d = 0; d < arguments.depths.size(); ++d) {
    text += fmt::format("\n{:>5}", arguments.depths[d]);
    for (size_t l = 0; l < arguments.lengths.size(); ++l) {
      const Cell& cell = cells[l * arguments.depths.size() + d];
      text += cell.asked ? fmt::format("{:>6.0f} %", 100 * cell.share()) : "       -";
    }
  }
  return text + "\n";
}

}  // namespace

int recall(const RecallArguments& arguments) {
  Config config = open_config(arguments.common);
  const std::string bytes = read_input(arguments.data);
  RecallData data = parse_recall(bytes, arguments.data == "-" ? "standard input" : arguments.data);
  if (arguments.cases && data.cases.size() > *arguments.cases) data.cases.resize(*arguments.cases);
  const uint32_t longest = *std::max_element(arguments.lengths.begin(), arguments.lengths.end());
  config.context.length = std::max(config.context.length.value_or(0), longest);
  config.sampling.clear();  // greedy: chance must not decide
  Engine engine = open_engine(arguments.common, config, TextNeed::required);

  std::vector<Cell> cells;
  for (const uint32_t length : arguments.lengths)
    for (const double depth : arguments.depths) cells.push_back({length, depth});
  const StopRequest stop;
  try {
    Progress line("recall", progress_for(arguments.common));
    run_cells(engine, data, cells, stop, line);
  } catch (const Stopped&) {
    // Prints the results so far.
  }
  if (arguments.common.json) {
    Json answer = {{"data_sha256", sha256(bytes)}, {"data_cases", data.cases.size()}};
    answer.update(run_json(config, engine.runtime()));
    answer["cells"] = cells_json(cells);
    answer["interrupted"] = stop.signal() != 0;
    print_json(answer);
  } else {
    print(arguments.csv ? cells_csv(cells) : cells_text(arguments, cells));
  }
  return stop.signal() == 0 ? 0 : 128 + stop.signal();
}

}  // namespace ropewalk
