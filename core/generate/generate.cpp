#include "core/generate/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "core/base/error.h"

namespace ropewalk {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool cancelled(const GenerateRequest& request) {
  return request.cancel && request.cancel->load(std::memory_order_relaxed);
}

void check_fits(const GenerateRequest& request, uint32_t context_length, uint32_t vocab) {
  if (request.prompt_ids.empty()) {
    throw Error(ExitCode::limit, "prompt", "it is empty, expected at least one token",
                "Give the prompt some text");
  }
  if (request.prompt_ids.size() >= context_length) {
    throw Error(
        ExitCode::limit, "prompt",
        fmt::format("it has {} tokens, the context holds {} and the reply needs at least one",
                    request.prompt_ids.size(), context_length),
        "Shorten the prompt or raise context.length");
  }
  for (const int32_t id : request.prompt_ids) {
    if (id >= 0 && static_cast<uint32_t>(id) < vocab) continue;
    throw Error(ExitCode::limit, "prompt",
                fmt::format("found token id {}, expected 0 to {}", id, vocab - 1),
                "Use ids of this model's tokenizer");
  }
}

// Runs what the session has not cached yet. Returns the last position's logits; empty: cancelled.
std::span<const float> prefill(Engine& engine, Session& session, const GenerateRequest& request,
                               GenerateStats& stats) {
  Executor& executor = engine.runtime().executor();
  const std::span<const int32_t> prompt = request.prompt_ids;
  const auto total = static_cast<uint32_t>(prompt.size());
  uint32_t done = stats.reused_tokens;
  while (true) {
    if (cancelled(request)) return {};
    const uint32_t count = std::min(executor.max_rows(), total - done);
    const Chunk chunk{&session.sequence(), prompt.subspan(done, count),
                      done + count == total ? Wanted::last : Wanted::none, total};
    const std::span<const float> logits = executor.run({&chunk, 1});
    session.append(chunk.tokens);
    done += count;
    if (request.on_prefill) request.on_prefill(done, total);
    if (done == total) return logits;
  }
}

// Where the table varies with the length, keys cached for a shorter conversation are not those that
// the longer one would compute.
uint32_t reuse(Engine& engine, Session& session, std::span<const int32_t> prompt) {
  if (engine.runtime().rope_tables().varies() && engine.runtime().rope().mode != RopeMode::exact) {
    session.clear();
  }
  return session.rewind_to(prompt);
}

class Reply {
 public:
  Reply(Engine& engine, const GenerateRequest& request)
      : request_(request),
        tokenizer_(engine.tokenizer()),
        end_ids_(engine.end_ids()),
        stream_(request.stops, request.leading_space) {}

  // Takes one sampled id. True where the reply ends with it.
  bool take(int32_t id) {
    generation.ids.push_back(id);
    const bool ends = std::find(end_ids_.begin(), end_ids_.end(), id) != end_ids_.end();
    if (!ends) emit(stream_.push(tokenizer_.text_of(id)));
    const bool stops = ends || stream_.stopped_by().has_value();
    if (stops) generation.finish = Finish::stop;
    return stops;
  }

  void finish() { emit(stream_.finish()); }

  Generation generation;

 private:
  void emit(const std::string& text) {
    if (text.empty()) return;
    generation.text += text;
    if (request_.on_text) request_.on_text(text);
  }

  const GenerateRequest& request_;
  const Tokenizer& tokenizer_;
  const std::vector<int32_t>& end_ids_;
  TextStream stream_;
};

}  // namespace

uint32_t Session::rewind_to(std::span<const int32_t> prompt) {
  const auto [ours, theirs] = std::mismatch(ids_.begin(), ids_.end(), prompt.begin(), prompt.end());
  size_t kept = static_cast<size_t>(ours - ids_.begin());
  if (kept > 0 && kept == prompt.size()) --kept;
  ids_.resize(kept);
  sequence_.truncate(static_cast<uint32_t>(kept));
  return static_cast<uint32_t>(kept);
}

void Session::append(std::span<const int32_t> ids) {
  ids_.insert(ids_.end(), ids.begin(), ids.end());
}

std::string_view finish_name(Finish finish) {
  switch (finish) {
    case Finish::stop:
      return "stop";
    case Finish::length:
      return "length";
    case Finish::cancelled:
      return "cancelled";
  }
  return "unknown";
}

Generation generate(Engine& engine, Session& session, const GenerateRequest& request) {
  Runtime& runtime = engine.runtime();
  check_fits(request, runtime.context_length(), runtime.executor().vocab_size());
  const auto prompt_length = static_cast<uint32_t>(request.prompt_ids.size());
  const uint32_t limit = std::min(request.max_new_tokens, runtime.context_length() - prompt_length);

  Reply reply(engine, request);
  Generation& generation = reply.generation;
  GenerateStats& stats = generation.stats;
  stats.prompt_tokens = prompt_length;
  stats.reused_tokens = reuse(engine, session, request.prompt_ids);

  const auto prefill_start = Clock::now();
  std::span<const float> logits;
  if (limit > 0) logits = prefill(engine, session, request, stats);
  stats.prefill_seconds = seconds_since(prefill_start);

  Chain chain = engine.make_chain(request.seed);
  std::vector<int32_t> history = request.prompt_ids;
  const auto decode_start = Clock::now();
  while (generation.ids.size() < limit) {
    if (logits.empty() || cancelled(request)) {
      generation.finish = Finish::cancelled;
      break;
    }
    const int32_t id = chain.sample(logits.first(engine.sampled_vocab()), history, prompt_length);
    history.push_back(id);
    if (reply.take(id) || generation.ids.size() == limit) break;

    const Chunk chunk{&session.sequence(),
                      {&history.back(), 1},
                      Wanted::last,
                      static_cast<uint32_t>(history.size())};
    logits = runtime.executor().run({&chunk, 1});
    session.append(chunk.tokens);
    ++stats.decode_steps;
    stats.decode_bytes += runtime.weight_bytes_per_step() +
                          runtime.cache_bytes_per_token() * session.sequence().length();
  }
  stats.decode_seconds = seconds_since(decode_start);
  stats.new_tokens = static_cast<uint32_t>(generation.ids.size());
  reply.finish();
  return std::move(generation);
}

}  // namespace ropewalk
