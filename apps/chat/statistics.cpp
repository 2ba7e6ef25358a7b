#include "apps/chat/statistics.h"
#include "core/base/bytes.h"
#include "core/json/json.h"

#include <fmt/format.h>

namespace ropewalk {
namespace {

double rate(double amount, double seconds) { return seconds > 0 ? amount / seconds : 0; }

// Only the uncached part of the prompt is run. The reply's first token comes from the prompt's last
// step, so it needs no step of its own.
struct Rates {
  explicit Rates(const ReplyStats& stats)
      : prefill(rate(stats.prompt_tokens - stats.reused_tokens, stats.prefill_seconds)),
        decode(rate(stats.decode_steps, stats.decode_seconds)),
        gbs(rate(static_cast<double>(stats.decode_bytes), stats.decode_seconds) / 1e9) {}

  double prefill, decode, gbs;
};

}  // namespace

Json statistics_json(Engine& engine, const ReplyStats& stats) {
  const Runtime& runtime = engine.runtime();
  const MemoryPlan& plan = runtime.model().plan();
  const Rates rates(stats);
  return {{"device", runtime.device().name()},
          {"context_length", runtime.context_length()},
          {"load_seconds", runtime.load_seconds()},
          {"prompt_tokens", stats.prompt_tokens},
          {"reused_tokens", stats.reused_tokens},
          {"prefill_seconds", stats.prefill_seconds},
          {"prefill_tokens_per_s", rates.prefill},
          {"new_tokens", stats.new_tokens},
          {"decode_seconds", stats.decode_seconds},
          {"decode_tokens_per_s", rates.decode},
          {"decode_gbs", rates.gbs},
          {"memory",
           {{"weights", plan.weights},
            {"cache", plan.cache},
            {"scratch", plan.scratch},
            {"workspace", plan.workspace}}}};
}

std::string short_statistics_line(const ReplyStats& stats) {
  return fmt::format("{} tokens, {:.1f} tokens/s", stats.new_tokens, Rates(stats).decode);
}

std::string statistics_line(Engine& engine, const ReplyStats& stats) {
  const Rates rates(stats);
  const std::string cached =
      stats.reused_tokens > 0 ? fmt::format(" ({} cached)", stats.reused_tokens) : "";
  return fmt::format(
      "loaded in {:.2f} s; prompt {} tokens{}, {:.0f} tokens/s; reply {} tokens, {:.1f} tokens/s, "
      "{:.2f} GB/s; memory {}",
      engine.runtime().load_seconds(), stats.prompt_tokens, cached, rates.prefill, stats.new_tokens,
      rates.decode, rates.gbs, format_bytes(engine.runtime().model().plan().total()));
}

}  // namespace ropewalk
