// perplexity.h — perplexity of a text by context length.
//
// Windows run several at a time where they are short, cut into steps where they are long.
// Log-softmax and sums are in double.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/engine/runtime.h"
#include "core/eval/windows.h"

namespace ropewalk {

// A mean over tokens with its uncertainty.
struct Perplexity {
  uint64_t tokens = 0;   // scored
  double nll = 0;        // mean, natural log
  double deviation = 0;  // of the mean: the standard error of nll

  double value() const;           // exp(nll)
  double standard_error() const;  // of value(): value() * deviation, to first order
};

// Accumulates log-probabilities by Welford's algorithm; result() may be called at any time.
class PerplexitySum {
 public:
  void add(double logprob);
  Perplexity result() const;

 private:
  uint64_t count_ = 0;
  double mean_ = 0, squares_ = 0;
};

// A text's window with its ids, BOS in place.
struct ScoredWindow {
  std::vector<int32_t> ids;
  uint32_t scored;  // index of the first id whose log-probability counts
};

// `bos` -1: the model's texts have none, and the first token stays.
std::vector<ScoredWindow> fill_windows(std::span<const Window> windows,
                                       std::span<const int32_t> text, int32_t bos);

struct WindowEvents {
  // Called for each window in order with the log-probabilities of ids[scored], ids[scored + 1], ...
  std::function<void(size_t window, std::span<const double> logprobs)> scores;
  // Called after every step with tokens done and the total. May throw to stop. May be empty.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

// Runs the windows, as many at a time as the runtime's sequences, cache and rows allow. Throws
// Error: limit where a window is longer than the context or an id is not in the vocabulary.
// REQUIRES: every window has a token to score, and the cache holds the longest of them.
void score_windows(Runtime& runtime, std::span<const ScoredWindow> windows,
                   const WindowEvents& events);

}  // namespace ropewalk
