// quantize_device.h — the device on which quantising is tested: the emulator or a GPU.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "core/abi/quantize.h"
#include "core/engine/devices.h"
#include "tests/end_to_end/backends.h"

namespace ropewalk::test {

class CudaQuantize : public testing::Test {
 protected:
  void SetUp() override {
    const TestBackend backend = test_backends().front();
    const std::string reason = why_missing(backend);
    if (!reason.empty()) GTEST_SKIP() << reason;
    config_.backend.plugin.name = backend.backend;
    registry_ = std::make_unique<Registry>(make_registry(config_));
    opened_ = std::make_unique<OpenDevice>(open_device(*registry_, config_.backend));
    void* interface = nullptr;
    const abi::Status status = opened_->device->extension(abi::kQuantize, &interface);
    ASSERT_TRUE(status.ok()) << status.message;
    solver_ = static_cast<abi::QuantizeSolver*>(interface);
  }

  static void expect_ok(const abi::Status& status) { ASSERT_TRUE(status.ok()) << status.message; }

  Config config_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<OpenDevice> opened_;
  abi::QuantizeSolver* solver_ = nullptr;
};

}  // namespace ropewalk::test
