// sampler_test.h — what the tests of samplers share: a row of candidates, a fake model, and fixed
// "random" numbers.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "core/abi/sampler.h"
#include "tests/plugins/plugin.h"

namespace ropewalk::test {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A model of 400 tokens where each byte of a text is the token of its code, and "!" ends a reply.
class ByteHost final : public abi::Host {
 public:
  static constexpr int32_t kEnd = '!';

  uint32_t vocab_size() const noexcept override { return 400; }
  std::span<const int32_t> end_ids() const noexcept override { return {&kEnd, 1}; }
  uint32_t tokenize(std::string_view text, std::span<int32_t> ids) const noexcept override {
    for (size_t i = 0; i < std::min(text.size(), ids.size()); ++i)
      ids[i] = static_cast<unsigned char>(text[i]);
    return static_cast<uint32_t>(text.size());
  }
};

// Gives the same number again and again, and counts how often it was asked.
class FixedRandom final : public abi::Random {
 public:
  explicit FixedRandom(double number) : number_(number) {}
  double uniform() noexcept override { return ++asked, number_; }
  int asked = 0;

 private:
  double number_;
};

// Candidates in a row, as the host has them.
struct Row {
  explicit Row(const std::vector<float>& logits) {
    for (const float logit : logits)
      storage.push_back({static_cast<int32_t>(storage.size()), logit});
    live = {storage.data(), static_cast<uint32_t>(storage.size()), false};
  }

  void run(abi::Sampler& sampler, const abi::SampleContext& context) {
    const abi::Status status = sampler.apply(live, context);
    EXPECT_TRUE(status.ok()) << status.message;
    EXPECT_TRUE(!live.sorted || std::is_sorted(live.data, live.data + live.size, abi::precedes));
  }
  // All of the history the prompt's, and no random number asked for.
  void run_after(const std::vector<int32_t>& history, abi::Sampler& sampler) {
    FixedRandom random(0);
    run(sampler, {history, static_cast<uint32_t>(history.size()), &random});
    EXPECT_EQ(random.asked, 0);
  }
  std::vector<int32_t> ids() const {
    std::vector<int32_t> ids;
    for (const abi::Candidate& candidate : live.all()) ids.push_back(candidate.id);
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  std::map<int32_t, float> logits() const {
    std::map<int32_t, float> logits;
    for (const abi::Candidate& candidate : live.all()) logits[candidate.id] = candidate.logit;
    return logits;
  }

  std::vector<abi::Candidate> storage;
  abi::Candidates live{};
};

inline Owned<abi::Sampler> make(const std::string& name, const TestOptions& options) {
  static const ByteHost host;
  return make_plugin_for<abi::Sampler>(&host, name, options);
}

inline std::vector<int32_t> survivors(const std::string& name, const TestOptions& options,
                                      const std::vector<float>& logits) {
  Row row(logits);
  row.run_after({}, *make(name, options));
  return row.ids();
}

inline std::vector<int32_t> ids_of(const std::string& text) { return {text.begin(), text.end()}; }

}  // namespace ropewalk::test
