// After the first token a chain asks for no memory, its plugins included.
#include <gmock/gmock.h>

#include "core/config/config.h"
#include "core/sample/chain.h"

extern std::size_t allocations;  // counting_new.cpp

namespace ropewalk::test {
namespace {

constexpr size_t kVocabulary = 1000;

class Host final : public abi::Host {
 public:
  uint32_t vocab_size() const noexcept override { return kVocabulary; }
  std::span<const int32_t> end_ids() const noexcept override { return {&end_, 1}; }
  uint32_t tokenize(std::string_view text, std::span<int32_t> ids) const noexcept override {
    for (size_t i = 0; i < std::min(text.size(), ids.size()); ++i)
      ids[i] = static_cast<unsigned char>(text[i]);
    return static_cast<uint32_t>(text.size());
  }

 private:
  int32_t end_ = 2;
};

// Every sampler that need not choose, one after the other.
std::vector<ChainLink> every_link(const Host& host) {
  const Config config = parse_config(R"(
model: m
sampling:
  - logit-bias: {ids: [7], bias: [1]}
  - repetition-penalty: {penalty: 1.2, range: 50, decay: 10}
  - frequency-presence: {frequency: 0.1, presence: 0.1}
  - dry
  - no-repeat-ngram: 3
  - ban-tokens: {texts: [xyz], ids: [1]}
  - min-length: 1000
  - temperature: 0.9
  - dynamic-temperature
  - quadratic
  - top-n-sigma: 3
  - top-k: 500
  - top-a: 0.01
  - min-p: 0.001
  - top-p: 0.99
  - tail-free: 0.99
  - typical: 0.99
  - epsilon: 0.0001
  - eta: 0.0001
  - xtc
  - mirostat
  - draw
  - greedy
)",
                                     {.file = "test.yaml"});
  std::vector<ChainLink> links;
  for (const PluginChoice& choice : config.sampling) {
    const std::filesystem::path folder = RW_MODULE_DIR;
    const Library library(folder / "samplers" / (choice.name + ".so"));
    links.push_back({choice.name, library.create<abi::Sampler>(choice, &host)});
  }
  return links;
}

TEST(Allocation, IsOverAfterTheFirstToken) {
  const Host host;
  Chain chain(every_link(host), 1);
  std::vector<float> logits(kVocabulary);
  std::vector<int32_t> history(300, 5);
  history.reserve(500);
  const auto sample = [&] {
    for (size_t i = 0; i < kVocabulary; ++i)
      logits[i] = static_cast<float>((i * 619 + history.size() * 37) % 991) * 0.01f;
    history.push_back(chain.sample(logits, history, 300));
  };
  sample();
  const size_t before = allocations;
  for (int i = 0; i < 100; ++i) sample();
  EXPECT_EQ(allocations, before);
  EXPECT_GT(before, 100u);  // they are counted at all
}

}  // namespace
}  // namespace ropewalk::test
