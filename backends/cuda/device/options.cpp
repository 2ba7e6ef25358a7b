#include "backends/cuda/device/options.h"

#include <string>
#include <string_view>

#include "backends/cuda/device/tuning_names.h"
#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

template <class Value>
struct Named {
  std::string_view name;
  Value value;
};

constexpr Named<PackedChoice> kPackedChoices[] = {{"auto", PackedChoice::automatic},
                                                  {"tiles8", PackedChoice::tiles8},
                                                  {"tiles16", PackedChoice::tiles16},
                                                  {"tiles32", PackedChoice::tiles32},
                                                  {"tiles64", PackedChoice::tiles64}};
constexpr Named<AttentionChoice> kAttentionChoices[] = {{"auto", AttentionChoice::automatic},
                                                        {"plain", AttentionChoice::plain},
                                                        {"split", AttentionChoice::split},
                                                        {"wgmma", AttentionChoice::wgmma}};
constexpr Named<CombineChoice> kCombineChoices[] = {{"last", CombineChoice::last},
                                                    {"own", CombineChoice::own}};
constexpr Named<NormChoice> kNormChoices[] = {{"folded", NormChoice::folded},
                                              {"own", NormChoice::own}};
constexpr Named<LogitsOn> kLogitsOn[] = {{"device", LogitsOn::device}, {"host", LogitsOn::host}};
constexpr Named<LargeBatchChoice> kLargeBatchChoices[] = {{"cublas", LargeBatchChoice::cublas},
                                                          {"wgmma", LargeBatchChoice::wgmma}};
constexpr Named<Epilogues> kEpilogues[] = {{"fused", Epilogues::fused},
                                           {"separate", Epilogues::separate}};

template <class Value, size_t kCount>
Value choice(const abi::Options& given, std::string_view option,
             const Named<Value> (&named)[kCount]) {
  const std::string_view text = given.text(option);
  std::string all;
  for (const auto& [name, value] : named) {
    if (name == text) return value;
    all += std::string(all.empty() ? "" : " ") + std::string(name);
  }
  throw abi::Failure(abi::StatusCode::invalid_argument,
                     "option " + std::string(option) + ": found " +
                         std::string(text.substr(0, 60)) + ", expected one of " + all);
}

}  // namespace

Options::Options(const abi::Options& given)
    : recording(given.boolean("capture") ? Recording::graph : Recording::eager),
      step_limit_ms(static_cast<uint64_t>(given.integer("step-limit-ms"))),
      logits(choice(given, "logits", kLogitsOn)),
      choices{choice(given, "matvec", kPackedChoices),
              choice(given, "attention", kAttentionChoices),
              choice(given, "combine", kCombineChoices),
              choice(given, "norms", kNormChoices),
              choice(given, "large-batch", kLargeBatchChoices),
              choice(given, "epilogues", kEpilogues),
              given.boolean("pdl") ? EarlyStart::where_possible : EarlyStart::never,
              given.boolean("batch-invariant") ? Batches::invariant : Batches::fast,
              parse_tuning(given.text("tune"))} {}

const abi::OptionInfo kOptions[12] = {
    {"capture", abi::OptionType::boolean, "true",
     "record each program as a CUDA graph; false launches its kernels one by one, for debugging"},
    {"step-limit-ms", abi::OptionType::integer, "30000",
     "milliseconds after which a step that has not ended counts as hung", 1, 3600000},
    {"logits", abi::OptionType::text, "device",
     "where the largest logit of a row is found and all are checked: device, so that greedy "
     "decoding reads no logits, or host"},
    {"matvec", abi::OptionType::text, "auto",
     "kernel of packed weights below the rows that cuBLAS takes: auto, or tiles8, tiles16, "
     "tiles32, tiles64 for so many rows at a time"},
    {"attention", abi::OptionType::text, "auto",
     "kernel of attention: auto, split (no tiles for prompts), plain, or wgmma (auto, but prompts "
     "of heads of 128 by the products of sm_90a, which no GPU has run yet)"},
    {"combine", abi::OptionType::text, "last",
     "who combines the runs of keys that attention is divided into: the thread block that ends "
     "last, or a kernel of its own (own)"},
    {"norms", abi::OptionType::text, "folded",
     "who computes the norm in front of products of one row: the products (folded), or a kernel "
     "of its own (own)"},
    {"large-batch", abi::OptionType::text, "cublas",
     "what multiplies packed weights by the rows of prompts: cublas, after a kernel has made them "
     "f16, or wgmma, which makes them f16 in registers (sm_90a, 4 bits, groups of 32; no GPU has "
     "run it yet)"},
    {"epilogues", abi::OptionType::text, "fused",
     "what follows those products of packed weights: fused, so that norms, products and silu pass "
     "f16 on, or kernels that read and write f32 (separate)"},
    {"pdl", abi::OptionType::boolean, "true",
     "let kernels begin before the one in front of them has ended, from sm_90 on"},
    {"batch-invariant", abi::OptionType::boolean, "false",
     "take the same kernels for any number of rows, slower ones for prompts: a reply then has the "
     "same bits whoever is served beside it"},
    {"tune", abi::OptionType::text, "",
     "NAME=N,... in place of numbers that were chosen without a GPU; an unknown name lists them"},
};

}  // namespace ropewalk::cuda
