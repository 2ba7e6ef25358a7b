#include "core/eval/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/base/error.h"
#include "core/eval/score.h"

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

// Windows that run side by side, each in its own sequence, until all are done.
class Group {
 public:
  Group(Runtime& runtime, std::span<const ScoredWindow> windows)
      : executor_(runtime.executor()), windows_(windows) {
    for (size_t i = 0; i < windows.size(); ++i) {
      sequences_.push_back(std::make_unique<Sequence>(runtime.cache()));
    }
    logprobs_.resize(windows.size());
  }

  std::span<const std::vector<double>> run() {
    while (step()) {
    }
    return logprobs_;
  }

 private:
  // The next tokens of window i, at most `rows`. Logits are asked for from the row before the first
  // scored token on; a step's boundary is put there, so that none are computed in vain.
  Chunk next(size_t i, uint32_t rows) const {
    const ScoredWindow& window = windows_[i];
    const uint32_t done = sequences_[i]->length();
    const auto total = static_cast<uint32_t>(window.ids.size());
    const uint32_t first_wanted = window.scored - 1;  // its logits speak of ids[scored]
    uint32_t end = std::min(total - 1, done + rows);
    const bool wanted = done >= first_wanted;
    if (!wanted) end = std::min(end, first_wanted);
    return {sequences_[i].get(), std::span(window.ids).subspan(done, end - done),
            wanted ? Wanted::all : Wanted::none, total};
  }

  bool step() {
    std::vector<Chunk> chunks;
    std::vector<size_t> owners;
    uint32_t rows = executor_.max_rows(), wanted = executor_.max_wanted();
    for (size_t i = 0; i < windows_.size() && rows > 0; ++i) {
      if (sequences_[i]->length() + 1 >= windows_[i].ids.size()) continue;
      Chunk chunk = next(i, rows);
      if (chunk.wanted == Wanted::all) {
        if (wanted == 0) break;
        chunk.tokens = chunk.tokens.first(std::min<size_t>(chunk.tokens.size(), wanted));
        wanted -= static_cast<uint32_t>(chunk.tokens.size());
      }
      rows -= static_cast<uint32_t>(chunk.tokens.size());
      chunks.push_back(chunk);
      owners.push_back(i);
    }
    if (chunks.empty()) return false;
    const std::span<const float> logits = executor_.run(chunks);
    read(chunks, owners, logits);
    return true;
  }

  void read(std::span<const Chunk> chunks, std::span<const size_t> owners,
            std::span<const float> logits) {
    const uint32_t vocab = executor_.vocab_size();
    size_t row = 0;
    for (size_t c = 0; c < chunks.size(); ++c) {
      if (chunks[c].wanted != Wanted::all) continue;
      const ScoredWindow& window = windows_[owners[c]];
      const size_t end = sequences_[owners[c]]->length();
      for (size_t i = end - chunks[c].tokens.size(); i < end; ++i, ++row) {
        logprobs_[owners[c]].push_back(
            log_probability(logits.subspan(row * vocab, vocab), window.ids[i + 1]));
      }
    }
  }

  Executor& executor_;
  std::span<const ScoredWindow> windows_;
  std::vector<std::unique_ptr<Sequence>> sequences_;
  std::vector<std::vector<double>> logprobs_;
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
    if (window.bos) filled.back().ids[0] = bos;
  }
  return filled;
}

void score_windows(Runtime& runtime, std::span<const ScoredWindow> windows,
                   const WindowScores& scores) {
  check_windows(windows, runtime, runtime.executor().vocab_size());
  const size_t side_by_side = runtime.executor().max_sequences();
  for (size_t first = 0; first < windows.size(); first += side_by_side) {
    const auto part = windows.subspan(first, std::min(side_by_side, windows.size() - first));
    Group group(runtime, part);
    const auto logprobs = group.run();
    for (size_t i = 0; i < part.size(); ++i) scores(first + i, logprobs[i]);
  }
}

}  // namespace ropewalk
