// LongRoPE: a factor for every pair, found by search; one list for sequences within the trained
// length M and one for longer ones. Cosine and sine are scaled by a function of the scaling factor.
//
//   inv_freq[i] = 1 / (list[i] * theta ^ (2i / head_dim))
//   attention_scale = sqrt(1 + ln(scaling) / ln(M)),  1 where scaling <= 1
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "core/abi/rope_scaling.h"

namespace {

using namespace ropewalk::abi;

constexpr auto kNumber = OptionType::number;
constexpr const char* kTrained = "original_max_position_embeddings";
constexpr std::array kOptions = {
    OptionInfo{"short_factor", OptionType::numbers, nullptr,
               "head_dim / 2 divisors for sequences within the trained length", 1e-6, 1e6},
    OptionInfo{"long_factor", OptionType::numbers, nullptr,
               "head_dim / 2 divisors for longer sequences", 1e-6, 1e6},
    OptionInfo{"factor", kNumber, nullptr,
               "how much longer than trained, where the trained length is not known", 1e-3, 1e6},
    OptionInfo{"attention_factor", kNumber, nullptr,
               "factor of cosine and sine; absent: from the scaling factor", 1e-3, 1e3},
    OptionInfo{kTrained, OptionType::integer, nullptr,
               "the trained length in tokens; absent: the model's own", 1, 1 << 24},
};

double number_or_zero(const Options& options, std::string_view name) {
  return options.has(name) ? options.number(name) : 0;
}

class LongRope final : public RopeScaling {
 public:
  explicit LongRope(const Options& options)
      : short_(options.numbers("short_factor")),
        long_(options.numbers("long_factor")),
        factor_(number_or_zero(options, "factor")),
        attention_factor_(number_or_zero(options, "attention_factor")),
        trained_(number_or_zero(options, kTrained)) {}

  bool varies_with_length() const noexcept override { return true; }
  Status fill(const RopeRequest& request, RopeTable& table) const noexcept override {
    return guard([&] {
      const double original = trained_ > 0 ? trained_ : request.original_max_position;
      // Where both lengths are known, their quotient overrides `factor`.
      const double scaling = original > 0 ? request.max_position / original : factor_;
      const double trained = original > 0 ? original : request.max_position;
      // Checks both lists at once: a growing sequence must not be refused halfway.
      check_size("short_factor", short_, table.inv_freq.size());
      check_size("long_factor", long_, table.inv_freq.size());
      const std::vector<double>& divisors = request.length > trained ? long_ : short_;
      for (size_t i = 0; i < table.inv_freq.size(); ++i)
        table.inv_freq[i] =
            std::pow(request.theta, -2.0 * static_cast<double>(i) / request.head_dim) / divisors[i];
      table.attention_scale = attention_factor_ > 0 ? attention_factor_
                              : scaling > 1 ? std::sqrt(1 + std::log(scaling) / std::log(trained))
                                            : 1;
    });
  }
  void release() noexcept override { delete this; }

 private:
  static void check_size(const char* name, const std::vector<double>& list, size_t expected) {
    if (list.size() != expected)
      throw Failure(StatusCode::invalid_argument,
                    "longrope: " + std::string(name) + " has " + std::to_string(list.size()) +
                        " numbers, expected " + std::to_string(expected) + ", half of head_dim");
  }

  std::vector<double> short_, long_;
  double factor_, attention_factor_, trained_;  // 0: not given
};

}  // namespace

const Module ropewalk_module = make_module<RopeScaling, LongRope>({
    .name = "longrope",
    .version = "1.0.0",
    .help = "LongRoPE (su): a factor for every pair, other ones beyond the trained length",
    .source = "arXiv 2402.13753; huggingface/transformers modeling_rope_utils.py",
    .options = kOptions,
});
