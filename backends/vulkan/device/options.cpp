#include "backends/vulkan/device/options.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "backends/vulkan/device/features.h"

namespace ropewalk::vulkan {
namespace {

using abi::Failure;
using abi::StatusCode;

uint64_t parse_count(std::string_view fault, std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0)
    throw Failure(StatusCode::invalid_argument,
                  "option fault: " + std::string(fault) + " needs a number above zero");
  return value;
}

Faults parse_faults(const abi::Options& options) {
  Faults faults;
  for (const std::string_view item : options.texts("fault")) {
    const size_t cut = std::min(item.find('='), item.size());
    const std::string_view name = item.substr(0, cut);
    const std::string_view value = item.substr(std::min(cut + 1, item.size()));
    if (name == "lost-at-step")
      faults.lost_at_step = parse_count(name, value);
    else if (name == "hang-at-step")
      faults.hang_at_step = parse_count(name, value);
    else if (name == "oom-after")
      faults.oom_after = parse_count(name, value);
    else if (name == "memory")
      faults.memory = parse_count(name, value);
    else if (name == "step-ms")
      faults.step_ms = parse_count(name, value);
    else
      throw Failure(StatusCode::invalid_argument,
                    "option fault: expected lost-at-step=N, hang-at-step=N, "
                    "oom-after=BYTES, memory=BYTES or step-ms=N, found " +
                        std::string(item));
  }
  return faults;
}

std::set<std::string> parse_mask(const abi::Options& options) {
  std::set<std::string> masked;
  for (const std::string_view name : options.texts("mask-features")) {
    if (std::find(std::begin(kFeatureNames), std::end(kFeatureNames), name) ==
        std::end(kFeatureNames)) {
      throw Failure(
          StatusCode::invalid_argument,
          "option mask-features: no feature " + std::string(name) + "; docs/support.md lists them");
    }
    masked.insert(std::string(name));
  }
  return masked;
}

Tuning parse_tuning(std::string_view text) {
  if (text == "auto") return Tuning::automatic;
  if (text == "gpu") return Tuning::gpu;
  if (text == "processor") return Tuning::processor;
  throw Failure(StatusCode::invalid_argument,
                "option tuning: expected auto, gpu or processor, found " + std::string(text));
}

Queue parse_queue(std::string_view text) {
  if (text == "auto") return Queue::automatic;
  if (text == "compute") return Queue::compute;
  throw Failure(StatusCode::invalid_argument,
                "option queue: expected auto or compute, found " + std::string(text));
}

Switch parse_switch(std::string_view name, std::string_view text) {
  if (text == "auto") return Switch::automatic;
  if (text == "always") return Switch::always;
  if (text == "never") return Switch::never;
  throw Failure(StatusCode::invalid_argument, "option " + std::string(name) +
                                                  ": expected auto, always or never, found " +
                                                  std::string(text));
}

MatrixUse parse_matrix(std::string_view text) {
  if (text == "auto") return MatrixUse::automatic;
  if (text == "never") return MatrixUse::never;
  if (text == "emulated") return MatrixUse::emulated;
  throw Failure(StatusCode::invalid_argument,
                "option matrix: expected auto, never or emulated, found " + std::string(text));
}

Combine parse_combine(std::string_view text) {
  if (text == "last") return Combine::last;
  if (text == "own") return Combine::own;
  throw Failure(StatusCode::invalid_argument,
                "option combine: expected last or own, found " + std::string(text));
}

// For programs that open a backend with default options, as tests/ops does.
bool validate_by_environment() {
  const char* value = std::getenv("ROPEWALK_VULKAN_VALIDATE");
  return value && std::string_view(value) == "1";
}

}  // namespace

Options::Options(const abi::Options& given)
    : loader(given.text("loader")),
      validate(given.boolean("validate") || validate_by_environment()),
      pipeline_cache(given.boolean("pipeline-cache")),
      masked(parse_mask(given)),
      faults(parse_faults(given)),
      submit_limit_ms(static_cast<uint64_t>(given.integer("submit-limit-ms"))),
      submit_mflop(static_cast<uint64_t>(given.integer("submit-mflop"))),
      tuning(parse_tuning(given.text("tuning"))),
      float16(parse_switch("float16", given.text("float16"))),
      dot(parse_switch("dot", given.text("dot"))),
      matrix(parse_matrix(given.text("matrix"))),
      queue(parse_queue(given.text("queue"))),
      combine(parse_combine(given.text("combine"))),
      prefetch_mib(static_cast<uint64_t>(given.integer("prefetch-mib"))),
      batch_invariant(given.boolean("batch-invariant")) {}

const abi::OptionInfo kOptions[15] = {
    {"pipeline-cache", abi::OptionType::boolean, "true",
     "keep compiled shaders in $XDG_CACHE_HOME/ropewalk, or ~/.cache/ropewalk"},
    {"validate", abi::OptionType::boolean, "false",
     "run under the Khronos validation layer and fail at its first message; "
     "for tests"},
    {"mask-features", abi::OptionType::texts, "",
     "features that the device shall seem to lack; for tests"},
    {"fault", abi::OptionType::texts, "",
     "failures to bring about: lost-at-step=N, hang-at-step=N, "
     "oom-after=BYTES, memory=BYTES, step-ms=N; for tests"},
    {"submit-limit-ms", abi::OptionType::integer, "0",
     "milliseconds after which a submission that has not ended counts as hung; "
     "0: 30000, and 120000 in software, whose cores other programs share",
     0, 3600000},
    {"loader", abi::OptionType::text, kLoaderName, "the Vulkan loader's library; for tests"},
    {"submit-mflop", abi::OptionType::integer, "0",
     "arithmetic of one submission, in MFLOP; 0: what the device does in 100 ms, by the time of "
     "the "
     "steps before, and at first by its kind",
     0, 1e9},
    {"tuning", abi::OptionType::text, "auto",
     "for whom shaders are cut: auto (by the kind of device), gpu or "
     "processor; for tests"},
    {"float16", abi::OptionType::text, "auto",
     "matrix products on f16 with sums in f32: auto (where the device has it "
     "and is no processor), "
     "always (where it has it) or never"},
    {"dot", abi::OptionType::text, "auto",
     "4-bit products by integer dot products: auto (where the hardware has the "
     "instruction), always (where the driver has it) or never"},
    {"matrix", abi::OptionType::text, "auto",
     "products of more than 8 rows on matrix cores: auto (where the device has them and the "
     "backend was built with their shaders), never, or emulated (the same tiles in plain GLSL, "
     "slow; for tests)"},
    {"queue", abi::OptionType::text, "auto",
     "the queue that work is submitted to: auto (the first that computes, which mostly draws too) "
     "or compute (one that does not draw, where there is one)"},
    {"combine", abi::OptionType::text, "last",
     "who combines the splits of keys that attention of one row or two is divided into: the "
     "workgroup that ends last, where the device has a memory model for it, or a dispatch of its "
     "own (own)"},
    {"prefetch-mib", abi::OptionType::integer, "0",
     "MiB of the next product's weights that are read beside a norm or attention, for devices with "
     "a large cache",
     0, 1024},
    {"batch-invariant", abi::OptionType::boolean, "false",
     "take the same kernels for any number of rows, slower ones for prompts: a reply then has the "
     "same bits whoever is served beside it"},
};

}  // namespace ropewalk::vulkan
