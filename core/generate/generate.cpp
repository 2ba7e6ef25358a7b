#include "core/generate/generate.h"

#include <chrono>

namespace ropewalk {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Reply generate(Engine& engine, CachedText& text, const Request& request,
               const GenerateEvents& events) {
  Runtime& runtime = engine.runtime();
  Executor& executor = runtime.executor();
  Running running(vocabulary_of(engine), text, request,
                  engine.make_chain(request.sampling, request.seed));
  ReplyStats& stats = running.reply().stats;
  const auto emit = [&](const std::string& piece) {
    if (!piece.empty() && events.on_text) events.on_text(piece);
  };

  const Clock::time_point start = Clock::now();
  while (running.state() != Running::State::finished) {
    if (events.cancel && events.cancel->load(std::memory_order_relaxed)) {
      emit(running.end(Finish::cancelled));
      break;
    }
    const bool in_prompt = running.state() == Running::State::prompt;
    Chunk chunk = running.next(executor.max_rows());
    if (events.on_logits && chunk.wanted == Wanted::largest) chunk.wanted = Wanted::last;
    const ChunkResult& result = executor.run({&chunk, 1}).front();
    const std::span<const float> logits = result.value();
    if (in_prompt) {
      if (events.on_prefill) events.on_prefill(text.cached(), stats.prompt_tokens);
      stats.prefill_seconds = seconds_since(start);
    } else {
      ++stats.decode_steps;
      stats.decode_bytes +=
          runtime.weight_bytes_per_step() + runtime.cache_bytes_per_token() * text.cached();
    }
    if (events.on_logits && !logits.empty()) events.on_logits(logits);
    emit(running.take(result).text);
  }
  stats.decode_seconds = seconds_since(start) - stats.prefill_seconds;
  return std::move(running.reply());
}

}  // namespace ropewalk
