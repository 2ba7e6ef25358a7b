#include "core/eval/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>

#include "core/base/error.h"
#include "core/eval/score.h"
#include "core/exec/cached_text.h"

namespace ropewalk {
namespace {

void check_windows(std::span<const ScoredWindow> windows, const Runtime& runtime, uint32_t vocab) {
  for (const ScoredWindow& window : windows) {
    if (window.ids.size() > runtime.context_length()) {
      throw Error(ExitCode::limit, "window",
                  fmt::format("it has {} tokens, the context holds {}", window.ids.size(),
                              runtime.context_length()),
                  "Raise context.length or ask for shorter windows");
    }
    check_ids(window.ids, vocab);
  }
}

// Windows that run at the same time, each in its own sequence. The earliest get rows first. A new
// window starts as soon as a sequence and enough pages are free, so that steps stay full.
class Pool {
 public:
  Pool(Runtime& runtime, std::span<const ScoredWindow> windows, const WindowEvents& events)
      : runtime_(runtime), executor_(runtime.executor()), windows_(windows), events_(events) {
    for (const ScoredWindow& window : windows) total_ += window.ids.size() - 1;
  }

  void run() {
    while (admit(), !active_.empty()) {
      step();
      if (events_.progress) events_.progress(done_, total_);
      report();
    }
  }

 private:
  struct Active {
    size_t window;
    std::unique_ptr<CachedText> text;
    std::vector<double> logprobs;
  };

  uint32_t pages_of(size_t window) const {
    return runtime_.cache().pages_for(static_cast<uint32_t>(windows_[window].ids.size()) - 1);
  }

  void admit() {
    while (next_ < windows_.size() && active_.size() < executor_.max_sequences() &&
           pages_ + pages_of(next_) <= runtime_.cache().pages()) {
      pages_ += pages_of(next_);
      active_.push_back(
          {next_, std::make_unique<CachedText>(runtime_.cache(), runtime_.rope_tables()), {}});
      active_.back().text->append(windows_[next_++].ids);
    }
  }

  // The next tokens of a window, at most `rows`. Logits are wanted from the row before the first
  // scored token on. A chunk ends there, so that no unneeded logits are computed.
  Chunk next(const Active& active, uint32_t rows) const {
    CachedText& text = *active.text;
    const uint32_t first_wanted = windows_[active.window].scored - 1;  // predicts ids[scored]
    const bool wanted = text.cached() >= first_wanted;
    const uint32_t end = wanted ? text.size() - 1 : first_wanted;
    Chunk chunk = text.next(std::min(rows, end - text.cached()));
    chunk.wanted = wanted ? Wanted::all : Wanted::none;
    return chunk;
  }

  void step() {
    std::vector<Chunk> chunks;
    std::vector<Active*> owners;
    uint32_t rows = executor_.max_rows(), wanted = executor_.max_wanted();
    for (Active& active : active_) {
      if (rows == 0) break;
      if (finished(active)) continue;
      Chunk chunk = next(active, rows);
      if (chunk.wanted == Wanted::all) {
        if (wanted == 0) break;
        chunk.tokens = chunk.tokens.first(std::min<size_t>(chunk.tokens.size(), wanted));
        wanted -= static_cast<uint32_t>(chunk.tokens.size());
      }
      rows -= static_cast<uint32_t>(chunk.tokens.size());
      done_ += chunk.tokens.size();
      chunks.push_back(chunk);
      owners.push_back(&active);
    }
    read(chunks, owners, executor_.run(chunks));
  }

  void read(std::span<const Chunk> chunks, std::span<Active* const> owners,
            std::span<const ChunkResult> results) {
    const uint32_t vocab = executor_.vocab_size();
    for (size_t c = 0; c < chunks.size(); ++c) {
      std::span<const float> logits = results[c].value();
      if (chunks[c].wanted != Wanted::all) continue;
      const ScoredWindow& window = windows_[owners[c]->window];
      const size_t end = owners[c]->text->cached();
      for (size_t i = end - chunks[c].tokens.size(); i < end; ++i) {
        owners[c]->logprobs.push_back(log_probability(logits.first(vocab), window.ids[i + 1]));
        logits = logits.subspan(vocab);
      }
    }
  }

  // The last token's logits are not needed: they predict what follows the text.
  static bool finished(const Active& active) { return active.text->pending() == 1; }

  // Reports windows in order: one that is done waits for those before it.
  void report() {
    while (!active_.empty() && finished(active_.front())) {
      events_.scores(active_.front().window, active_.front().logprobs);
      pages_ -= pages_of(active_.front().window);
      active_.pop_front();
    }
  }

  Runtime& runtime_;
  Executor& executor_;
  std::span<const ScoredWindow> windows_;
  const WindowEvents& events_;
  std::deque<Active> active_;
  size_t next_ = 0;     // the first window that has not started
  uint32_t pages_ = 0;  // that the active windows will own at their end
  uint64_t done_ = 0, total_ = 0;
};

}  // namespace

double Perplexity::value() const { return std::exp(nll); }

double Perplexity::standard_error() const { return value() * deviation; }

void PerplexitySum::add(double logprob) {
  ++count_;
  const double delta = -logprob - mean_;
  mean_ += delta / static_cast<double>(count_);
  squares_ += delta * (-logprob - mean_);
}

Perplexity PerplexitySum::result() const {
  Perplexity result{count_, mean_, 0};
  if (count_ > 1) {
    const auto n = static_cast<double>(count_);
    result.deviation = std::sqrt(squares_ / (n - 1) / n);
  }
  return result;
}

std::vector<ScoredWindow> fill_windows(std::span<const Window> windows,
                                       std::span<const int32_t> text, int32_t bos) {
  std::vector<ScoredWindow> filled;
  for (const Window& window : windows) {
    const auto ids = text.subspan(window.begin, window.length);
    filled.push_back({{ids.begin(), ids.end()}, window.scored});
    if (window.bos && bos >= 0) filled.back().ids[0] = bos;
  }
  return filled;
}

void score_windows(Runtime& runtime, std::span<const ScoredWindow> windows,
                   const WindowEvents& events) {
  check_windows(windows, runtime, runtime.executor().vocab_size());
  Pool(runtime, windows, events).run();
}

}  // namespace ropewalk
