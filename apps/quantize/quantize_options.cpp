#include "apps/quantize/quantize_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <string_view>
#include <utility>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "apps/command_line.h"
#include "apps/common_options.h"
#include "apps/number_options.h"
#include "core/base/error.h"
#include "core/config/nearest.h"
#include "core/json/json_fields.h"

namespace ropewalk {
namespace {

using quantize::Order;
using quantize::Search;
using quantize::ZeroForm;

template <class Value>
using Named = std::pair<std::string_view, Value>;

constexpr std::array kOrders = {
    Named<Order>{"act", Order::act}, Named<Order>{"static", Order::fixed},
    Named<Order>{"gar", Order::gar}, Named<Order>{"none", Order::stored}};
constexpr std::array kSearches = {Named<Search>{"weighted", Search::weighted},
                                  Named<Search>{"mse", Search::mse},
                                  Named<Search>{"none", Search::none}};
constexpr std::array kZeros = {Named<ZeroForm>{"v1", ZeroForm::v1},
                               Named<ZeroForm>{"v2", ZeroForm::v2}};
enum class SolverChoice : uint8_t { automatic, host, device };
constexpr std::array kSolvers = {Named<SolverChoice>{"auto", SolverChoice::automatic},
                                 Named<SolverChoice>{"host", SolverChoice::host},
                                 Named<SolverChoice>{"device", SolverChoice::device}};
constexpr std::array kMethods = {Named<QuantizeMethod>{"gptq", QuantizeMethod::gptq},
                                 Named<QuantizeMethod>{"rtn", QuantizeMethod::nearest}};

template <class Value, size_t kCount>
Value find(const std::string& option, const std::string& name,
           const std::array<Named<Value>, kCount>& known) {
  std::vector<std::string> names;
  for (const auto& [known_name, value] : known) {
    if (known_name == name) return value;
    names.emplace_back(known_name);
  }
  refuse_command_line(fmt::format("unknown {} {}", option, printable(name)),
                      suggestion(name, names));
}

}  // namespace

void add_options(CLI::App& app, QuantizeArguments& quantize) {
  app.add_option("BASE", quantize.common.target, "The model: configuration or folder")
      ->type_name("CONFIG|MODEL_DIR")
      ->required();
  app.add_option("--out", quantize.out, "Folder to make, or that of a run to go on with")
      ->type_name("DIR")
      ->required();
  app.add_option("--calibration", quantize.calibration,
                 "Text that shows layers' inputs: .txt, .jsonl, .ids, as often as needed; or self")
      ->type_name("FILE|self")
      ->allow_extra_args(false)
      ->required();
  add_shorthand(app, quantize.common, "--adapter", "adapter",
                "Which of the configuration's adapters the result shall run beside");
  app.add_option("--dump-calibration", quantize.dump_calibration,
                 "Write the tokens that are used, one window a line")
      ->type_name("FILE");
  app.add_option("--bits", quantize.bits, "Bits of a weight: 2, 3, 4 or 8")->capture_default_str();
  app.add_option("--group-size", quantize.group_size,
                 "Weights that share a scale: 16, 32 .. 1024, or -1 for all of an output")
      ->capture_default_str();
  app.add_flag("--allow-short-group", quantize.allow_short_group,
               "Let the last group of a layer be short where the size does not divide its inputs");
  app.add_option("--order", quantize.order,
                 "Order in which columns are rounded: act, static, gar or none")
      ->type_name("act|static|gar|none")
      ->capture_default_str();
  app.add_flag("--asym", quantize.asymmetric,
               "Give each group a zero point of its own; else groups are symmetric");
  app.add_option("--zeros", quantize.zeros, "How zero points are stored: v1 or v2")
      ->type_name("v1|v2")
      ->capture_default_str();
  app.add_option("--damp", quantize.damp,
                 "What is added to the Hessian's diagonal, as a share of its mean")
      ->capture_default_str();
  app.add_option("--search", quantize.search,
                 "How the range of a group is found: weighted, mse or none")
      ->type_name("weighted|mse|none")
      ->capture_default_str();
  app.add_option("--method", quantize.method, "gptq, or rtn: each weight to its nearest code")
      ->type_name("gptq|rtn")
      ->capture_default_str();
  app.add_option("--skip", quantize.skip,
                 "Layers that stay as they are: the end of a name, .* for any run of characters")
      ->type_name("PATTERN")
      ->allow_extra_args(false);
  app.add_flag("--no-true-sequential", quantize.layer_sequential,
               "Calibrate all matrices of a layer on what its dense weights compute");
  app.add_flag("--asymmetric-calibration", quantize.asymmetric_calibration,
               "Calibrate towards what the dense model computes (GPTAQ), for twice the work");
  app.add_option("--solver", quantize.solver,
                 "Where matrices are solved: host, device, or auto: on the device where it can")
      ->type_name("auto|host|device")
      ->capture_default_str();
  app.add_option("--compat", quantize.compat,
                 "Find groups' ranges as another program does: autogptq")
      ->type_name("NAME");
  add_counts(app, "--samples", quantize.samples, between(1u, 1u << 20),
             "Windows of text, default 128; for several lengths as many counts");
  add_counts(app, "--length", quantize.lengths, between(1u, 1u << 24),
             "Tokens of a window, default 2048");
  app.add_option("--seed", quantize.seed, "Seed of the order of the documents")
      ->capture_default_str();
  app.add_option("--shard-size", quantize.shard_size, "Cut the weights into files of at most this")
      ->type_name("4GB|500MB");
  app.add_flag("--fresh", quantize.fresh, "Start over where an earlier run was interrupted");
  app.add_flag("--json", quantize.common.json, "Answer with a JSON object for each matrix");
}

quantize::Settings settings_of(const QuantizeArguments& arguments) {
  quantize::Settings settings;
  if (arguments.bits != 2 && arguments.bits != 3 && arguments.bits != 4 && arguments.bits != 8)
    refuse_command_line(fmt::format("--bits: found {}, expected 2, 3, 4 or 8", arguments.bits), "");
  const int32_t group = arguments.group_size;
  if (group != -1 && (group < 16 || group > 1024 || !std::has_single_bit(uint32_t(group))))
    refuse_command_line(
        fmt::format("--group-size: found {}, expected -1 or a power of two from 16 to 1024", group),
        "Other sizes are refused by the programs that load such files");
  if (!(arguments.damp > 0 && arguments.damp < 1))
    refuse_command_line(
        fmt::format("--damp: found {}, expected a number above 0 and below 1", arguments.damp), "");
  settings.bits = static_cast<uint8_t>(arguments.bits);
  settings.group_size = group == -1 ? 0 : static_cast<uint32_t>(group);
  settings.short_groups = arguments.allow_short_group;
  settings.order = find("--order", arguments.order, kOrders);
  settings.symmetric = !arguments.asymmetric;
  settings.zeros = find("--zeros", arguments.zeros, kZeros);
  settings.damp = arguments.damp;
  settings.search = find("--search", arguments.search, kSearches);
  if (!arguments.compat.empty() && arguments.compat != "autogptq")
    refuse_command_line(fmt::format("unknown --compat {}", printable(arguments.compat)),
                        "Known is autogptq");
  settings.as_autogptq = !arguments.compat.empty();
  return settings;
}

abi::QuantizeSolver* solver_of(const QuantizeArguments& arguments, const LayerDevice& on) {
  const SolverChoice choice = find("--solver", arguments.solver, kSolvers);
  if (choice == SolverChoice::host) return nullptr;
  if (on.solver()) return on.solver();
  if (choice == SolverChoice::device)
    throw Error(ExitCode::no_device, on.name(), "has no solver for --solver device",
                "Only CUDA has one, where cuBLAS is found; take --solver host");
  return nullptr;
}

QuantizeMethod method_of(const QuantizeArguments& arguments) {
  return find("--method", arguments.method, kMethods);
}

std::string solver_name(const abi::QuantizeSolver* solver) { return solver ? "device" : "host"; }

uint64_t shard_bytes_of(const QuantizeArguments& arguments) {
  const std::string& text = arguments.shard_size;
  if (text.empty()) return UINT64_MAX;
  uint64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, count);
  const std::string_view unit(stop, static_cast<size_t>(end - stop));
  const uint64_t size = unit == "GB" ? 1'000'000'000 : unit == "MB" ? 1'000'000 : 0;
  if (error != std::errc{} || count == 0 || count > 1'000'000 || size == 0)
    refuse_command_line(fmt::format("--shard-size: found {}, expected a size such as 4GB or 500MB",
                                    printable(text)),
                        "");
  return count * size;
}

Json settings_json(const QuantizeArguments& arguments) {
  return {{"bits", arguments.bits},
          {"group_size", arguments.group_size},
          {"allow_short_group", arguments.allow_short_group},
          {"order", arguments.order},
          {"sym", !arguments.asymmetric},
          {"zeros", arguments.zeros},
          {"damp", arguments.damp},
          {"search", arguments.search},
          {"method", arguments.method},
          {"skip", arguments.skip},
          {"samples", arguments.samples},
          {"length", arguments.lengths},
          {"true_sequential", !arguments.layer_sequential},
          {"asymmetric_calibration", arguments.asymmetric_calibration},
          {"compat", arguments.compat},
          {"seed", arguments.seed},
          {"shard_size", arguments.shard_size}};
}

}  // namespace ropewalk
