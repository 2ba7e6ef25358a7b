// module.cpp — the door of the CPU backend: its name, its options and its one device.
#include <algorithm>
#include <string>

#include "backends/cpu/device.h"
#include "backends/cpu/machine.h"
#include "core/abi/backend.h"
#include "core/abi/options.h"
#include "core/abi/plugin.h"

namespace ropewalk::cpu {
namespace {

constexpr int64_t kMaxThreads = 256;

class Backend final : public abi::Backend {
 public:
  explicit Backend(const abi::Options& options) {
    const int64_t threads = options.integer("threads");
    options_.threads = static_cast<uint32_t>(
        std::clamp<int64_t>(threads ? threads : usable_cores(), 1, kMaxThreads));
    const std::string instructions(options.text("instructions"));
    options_.kernels = select_kernels(instructions.c_str());
    if (!options_.kernels)
      throw abi::Failure(abi::StatusCode::invalid_argument,
                         "option instructions: this machine has no " + instructions);
  }

  abi::Status device_count(uint32_t* count) noexcept override {
    *count = 1;
    return {};
  }
  abi::Status describe(uint32_t index, abi::DeviceInfo* info) noexcept override {
    return abi::guard([&] {
      require(index);
      *info = cpu::describe(options_);
    });
  }
  abi::Status open(uint32_t index, abi::Device** device) noexcept override {
    return abi::guard([&] {
      require(index);
      *device = new Device(options_);
    });
  }
  void release() noexcept override { delete this; }

 private:
  static void require(uint32_t index) {
    if (index != 0)
      throw abi::Failure(abi::StatusCode::no_device,
                         "device " + std::to_string(index) + " of 1: the processor is device 0");
  }

  DeviceOptions options_{};
};

constexpr abi::OptionInfo kOptions[] = {
    {"threads", abi::OptionType::integer, "0", "threads to use; 0: one for each usable core", 0,
     kMaxThreads},
    {"instructions", abi::OptionType::text, "auto",
     "instruction set: auto (the widest there is), baseline, avx2, avx512 or avx512_vnni; "
     "baseline_vnni, for tests: the bits of avx512_vnni on any machine"},
};

}  // namespace
}  // namespace ropewalk::cpu

extern "C" const ropewalk::abi::Module ropewalk_module =
    ropewalk::abi::make_module<ropewalk::abi::Backend, ropewalk::cpu::Backend>(
        {.name = "cpu",
         .version = "0.1.0",
         .help = "Any processor; the definition of every op.",
         .source = "core/graph/ops.md",
         .options = ropewalk::cpu::kOptions});
