// kernels_bench — each kernel of the CUDA backend by itself, at the sizes of Llama-2-13B: a
// recorded graph of equal steps, as many as the model has layers, each with weights of its own. A
// variant's output is checked before it is timed.
//
//   kernels_bench --all      every kernel with the choices that the options offer
//   kernels_bench --sweep    one number of the option `tune` changed at a time: what is best, what
//                            is next, and how far two equal runs are apart
//
//   --only NAME    kernels whose name begins so        --rows N      steps of N rows alone
//   --layers N     steps of a graph (40)               --eager       launched once, not recorded or
//   --tiny         a model of 64, for the emulator                   repeated: for profilers
//
// A decode step of the defaults launches the kernels of embed, then those of norm_qkv, attention_o
// and norm_mlp in each layer, then those of logits. The other lines are parts of these, or choices.
//
// GB/s counts the packed weights, the cache, x and y, each once. "of read" is its fraction of the
// bandwidth that was measured in the same run, "of f16" the fraction of the rate of products. Exits
// with 1 where an output was wrong, with 4 where there is no device.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "bench/cuda/kernels.h"
#include "core/abi/guard.h"

namespace ropewalk::cuda::bench {
namespace {

constexpr int kNoDevice = 4, kRepeats = 7;
constexpr Sizes kThirteen{5120, 40, 128, 13824, 32000, 40, 2048, 32, 16, 8, 8192};
constexpr Sizes kTiny{64, 2, 32, 96, 80, 2, 64, 32, 2, 8, 512};

struct Arguments {
  bool all = false, sweep = false, eager = false, tiny = false;
  std::string only;
  uint32_t rows = 0, layers = 0;
};

[[noreturn]] void usage(const std::string& reason) {
  std::fprintf(stderr,
               "kernels_bench: %s; usage: kernels_bench (--all | --sweep | --eager) [--only NAME] "
               "[--rows N] [--layers N] [--tiny]\n",
               reason.c_str());
  std::exit(2);
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&] {
      if (++i == argc) usage(name + " has no value");
      return std::string(argv[i]);
    };
    const auto number = [&] {
      const std::string text = value();
      const long parsed = std::strtol(text.c_str(), nullptr, 10);
      if (parsed < 1 || parsed > 4096) usage(name + " is " + text);
      return static_cast<uint32_t>(parsed);
    };
    if (name == "--all")
      arguments.all = true;
    else if (name == "--sweep")
      arguments.sweep = true;
    else if (name == "--eager")
      arguments.eager = true;
    else if (name == "--tiny")
      arguments.tiny = true;
    else if (name == "--only")
      arguments.only = value();
    else if (name == "--rows")
      arguments.rows = number();
    else if (name == "--layers")
      arguments.layers = number();
    else
      usage("no option " + name);
  }
  if (arguments.all + arguments.sweep + arguments.eager != 1)
    usage("one of --all, --sweep, --eager");
  return arguments;
}

// What is timed of a kernel: sizes of steps, and variants of each.
struct Case {
  StepSize size;
  std::vector<Settings> variants;
};

Settings tune(const std::string& setting) { return {{"tune", setting}}; }
StepSize decode(uint32_t rows, uint32_t context) { return {rows, rows, context}; }
StepSize prompt(uint32_t rows, uint32_t context) { return {rows, 1, context}; }

bool is_attention(const std::string& kernel) {
  return kernel == "attention" || kernel == "attention_int8";
}
// Steps of one product, with packed weights.
bool is_packed(const std::string& kernel) {
  return std::ranges::count(std::array{"norm_qkv", "qkv", "o", "gate_up", "down"}, kernel) != 0;
}

std::vector<Case> cases_of(const std::string& kernel, const Sizes& sizes) {
  const Settings none, tiles16 = {{"matvec", "tiles16"}}, own = {{"norms", "own"}};
  const Settings waits = {{"pdl", "false"}}, combined = {{"combine", "own"}};
  const uint32_t longest = sizes.context, short_one = short_context(sizes);
  const uint32_t few = sizes.rows / 4;  // of a prompt
  if (kernel == "embed") return {{decode(1, 1), {none}}, {decode(8, 1), {none}}};
  if (kernel == "norm")
    return {
        {decode(1, 1), {none}}, {decode(8, 1), {none}}, {prompt(sizes.rows, sizes.rows), {none}}};
  if (kernel == "logits")
    return {{decode(1, 1), {none, waits, {{"logits", "host"}}}}, {decode(8, 1), {none}}};
  if (kernel == "lm_head") {
    const Settings cublas = tune("dense-rows=0");
    return {{decode(1, 1), {none, tune("stream-rows=0"), cublas}}, {decode(8, 1), {none, cublas}}};
  }
  if (kernel == "attention_o")
    return {{decode(1, short_one), {none, combined, waits}},
            {decode(8, short_one), {none, combined, waits}}};
  if (is_attention(kernel)) {
    std::vector<Settings> tiles = {none};
    if (kernel == "attention") tiles.push_back({{"attention", "wgmma"}});
    const std::vector<Settings> both = {none, combined, {{"attention", "split"}}};
    return {{decode(1, short_one), both},  {decode(1, longest), both},
            {decode(8, short_one), both},  {decode(8, longest), both},
            {prompt(few, longest), tiles}, {prompt(sizes.rows, longest), tiles}};
  }
  const Settings separate = {{"epilogues", "separate"}}, wgmma = {{"large-batch", "wgmma"}};
  const Settings both = {separate[0], wgmma[0]};
  if (kernel == "norm_mlp")
    return {{decode(1, 1), {none, own, waits}}, {decode(8, 1), {none}}, {decode(32, 1), {none}}};
  if (kernel == "norm_qkv")
    return {{decode(1, 1), {none, own, waits}},
            {decode(8, 1), {none}},
            {decode(32, 1), {none}},
            {prompt(sizes.rows, sizes.rows), {none, separate, wgmma, both}}};
  const std::vector<Settings> large = {none, tune("joined=0"), separate, wgmma, both};
  const Settings tiles8 = {{"matvec", "tiles8"}};
  return {{decode(1, 1), {none, waits, tiles8}},
          {decode(8, 1), {none, waits, tiles8, tiles16}},
          {decode(32, 1), {none, tune("lean-rows=8"), tiles16}},
          {prompt(few, few), large},
          {prompt(sizes.rows, sizes.rows), large}};
}

// One factor at a time from the default.
std::vector<Settings> factors_of(const std::string& kernel, const StepSize& size) {
  std::vector<Settings> all;
  const auto add = [&](const char* name, std::initializer_list<uint32_t> values) {
    for (const uint32_t value : values)
      all.push_back(tune(std::string(name) + "=" + std::to_string(value)));
  };
  if (is_attention(kernel)) {
    add("min-keys", {16, 32, 128, 256});
    add("start-keys", {0, 16, 32, 64, 256});
    add(kernel == "attention" ? "ring-runs" : "busy-runs", {1, 2, 3, 4, 6, 8});
    return all;
  }
  if (!is_packed(kernel)) return all;
  if (size.rows > 128) {
    add("joined", {0});
    add("slice-waves", {1, 3, 4});
    add("slice-mib", {32, 64, 128, 512});
    add("tiles64-rows", {512});
    return all;
  }
  for (const char* kernels : {"tiles8", "tiles16", "tiles32", "tiles64"})
    all.push_back({{"matvec", kernels}});
  if (size.rows <= 64) {  // the rest does not concern the streaming kernels
    all.push_back(tune("lean-rows=0"));
    all.push_back({{"pdl", "false"}});
    add("end-blocks", {0, 1, 2, 8, 16, 32});
    add("ahead-chunks", {0, 2, 10, 20});
    add("late-start", {0});
    return all;
  }
  add("splits", {1, 2, 3, 4, 5, 6, 8, 10, 12, 16});
  add("min-blocks", {4, 16, 32});
  add("start-blocks", {0, 2, 8, 16});
  add("busy-blocks", {1, 2, 4, 5, 8});
  add("sum-rate", {75, 300, 600});
  return all;
}

class Runner {
 public:
  explicit Runner(const Arguments& arguments)
      : arguments_(arguments), sizes_(arguments.tiny ? kTiny : kThirteen) {
    if (arguments.layers) sizes_.layers = sizes_.cache_layers = arguments.layers;
  }

  int run() {
    if (!arguments_.eager) ceilings_ = machine_.ceilings();
    std::printf("%s, %s; read %.1f GB/s, f16 products %.1f TFLOP/s; %u layers\n", machine_.name(),
                machine_.driver(), ceilings_.read / 1e9, ceilings_.products / 1e12, sizes_.layers);
    if (!arguments_.sweep)
      std::printf("%-14s %5s %7s  %-37s %10s %9s %8s %9s %8s\n", "kernel", "rows", "context",
                  "variant", "us", "GB/s", "of read", "TFLOP/s", "of f16");
    for (const KernelName& name : kernel_names())
      if (name.name.starts_with(arguments_.only)) run(name);
    return failed_ ? 1 : 0;
  }

 private:
  void run(const KernelName& name) {
    const std::vector<Case> cases = cases_of(name.name, sizes_);
    const auto wanted = [&](const Case& each) {
      return arguments_.rows == 0 || arguments_.rows == each.size.rows;
    };
    if (std::ranges::none_of(cases, wanted)) return;
    try {
      const Kernel kernel = name.make(machine_, sizes_);
      for (const Case& each : cases) {
        if (!wanted(each)) continue;
        const std::vector<Sample> samples = kernel.samples(each.size);
        if (arguments_.sweep)
          sweep(name.name, kernel, each.size, samples);
        else
          print_variants(name.name, kernel, each, samples);
      }
    } catch (const abi::Failure& failure) {
      failed_ = true;
      std::printf("%-14s %s\n", name.name.c_str(), failure.what());
    }
  }

  double time(const Kernel& kernel, const StepSize& size, const std::vector<Sample>& samples,
              const Settings& settings) {
    Settings all = settings;
    if (arguments_.eager) all.push_back({"capture", "false"});
    return kernel.chain->time(size, options_of(all), kernel.output, samples,
                              arguments_.eager ? 0 : kRepeats);
  }

  void print_variants(const std::string& name, const Kernel& kernel, const Case& each,
                      const std::vector<Sample>& samples) {
    for (const Settings& settings : each.variants) {
      std::printf("%-14s %5u %7u  %-37s ", name.c_str(), each.size.rows, each.size.context,
                  name_of(settings).c_str());
      try {
        const double seconds = time(kernel, each.size, samples, settings);
        const Work work = kernel.work(each.size);
        std::printf("%10.2f %9.1f", seconds * 1e6, work.bytes / seconds / 1e9);
        if (ceilings_.read > 0) std::printf(" %8.3f", work.bytes / seconds / ceilings_.read);
        if (each.size.rows > 8 && ceilings_.products > 0)
          std::printf(" %9.1f %8.3f", work.flop / seconds / 1e12,
                      work.flop / seconds / ceilings_.products);
        std::printf("\n");
      } catch (const std::runtime_error& error) {
        failed_ = true;
        std::printf("%s\n", error.what());
      }
      if (arguments_.eager) break;
    }
  }

  void sweep(const std::string& name, const Kernel& kernel, const StepSize& size,
             const std::vector<Sample>& samples) {
    const std::vector<Settings> factors = factors_of(name, size);
    if (factors.empty()) return;
    struct Point {
      double seconds;
      std::string name;
    };
    std::vector<Point> points;
    std::printf("%-14s %5u %7u  ", name.c_str(), size.rows, size.context);
    double usual = 0, again = 0;
    try {
      usual = time(kernel, size, samples, {});
      again = time(kernel, size, samples, {});
      for (const Settings& settings : factors)
        points.push_back({time(kernel, size, samples, settings), name_of(settings)});
    } catch (const std::runtime_error& error) {
      failed_ = true;
      std::printf("%s\n", error.what());
      return;
    }
    std::ranges::sort(points, {}, &Point::seconds);
    const auto change = [&](const Point& point) { return (point.seconds / usual - 1) * 100; };
    std::printf(
        "default %.2f us (twice: %+.1f %%); best %s %.2f (%+.1f %%), then %s %.2f (%+.1f %%)\n",
        usual * 1e6, (again / usual - 1) * 100, points[0].name.c_str(), points[0].seconds * 1e6,
        change(points[0]), points[1].name.c_str(), points[1].seconds * 1e6, change(points[1]));
  }

  const Arguments arguments_;
  Sizes sizes_;
  Machine machine_;
  Ceilings ceilings_{};
  bool failed_ = false;
};

int main_of(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    return Runner(arguments).run();
  } catch (const abi::Failure& failure) {
    std::printf("kernels_bench: %s\n", failure.what());
    return failure.code() == abi::StatusCode::no_device ? kNoDevice : 1;
  }
}

}  // namespace
}  // namespace ropewalk::cuda::bench

int main(int argc, char** argv) { return ropewalk::cuda::bench::main_of(argc, argv); }
