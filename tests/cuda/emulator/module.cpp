// module.cpp — the door of the emulated backend.
//
// EMULATOR_OPTIONS, as "matvec=tiles16 tune=splits=3", stands in place of what the host gives: so
// the tests of ops run once more with kernels that a program would not choose by itself.
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "backends/cuda/backend.h"
#include "core/abi/plugin.h"

namespace {

using namespace ropewalk;

class GivenOptions {
 public:
  explicit GivenOptions(const abi::Options& given) {
    for (const abi::OptionInfo& option : cuda::kOptions)
      values_.push_back({option.name, given.text(option.name)});
    const char* text = std::getenv("EMULATOR_OPTIONS");
    std::istringstream settings(text ? text : "");
    for (std::string setting; settings >> setting;) texts_.push_back(setting);
    for (const std::string& setting : texts_) {
      const size_t cut = setting.find('=');
      for (abi::OptionValue& value : values_)
        if (value.name == setting.substr(0, cut))
          value.value = std::string_view(setting).substr(cut + 1);
    }
  }
  abi::Options get() const { return abi::Options({values_, nullptr}); }

 private:
  std::vector<std::string> texts_;
  std::vector<abi::OptionValue> values_;
};

class EmulatedBackend final : public abi::Backend {
 public:
  explicit EmulatedBackend(const abi::Options& given)
      : backend_(new cuda::Backend(GivenOptions(given).get())) {}
  ~EmulatedBackend() { backend_->release(); }

  abi::Status device_count(uint32_t* count) noexcept override {
    return backend_->device_count(count);
  }
  abi::Status describe(uint32_t index, abi::DeviceInfo* info) noexcept override {
    return backend_->describe(index, info);
  }
  abi::Status open(uint32_t index, abi::Device** device) noexcept override {
    return backend_->open(index, device);
  }
  void release() noexcept override { delete this; }

 private:
  cuda::Backend* backend_;
};

}  // namespace

extern "C" const ropewalk::abi::Module ropewalk_module =
    ropewalk::abi::make_module<ropewalk::abi::Backend, EmulatedBackend>(
        {.name = "emulated",
         .version = "0.1.0",
         .help = "The CUDA backend on a CPU, for its tests.",
         .source = "core/graph/ops.md",
         .options = ropewalk::cuda::kOptions});
