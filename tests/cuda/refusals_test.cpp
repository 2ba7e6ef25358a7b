// K01 to K06 of the CUDA backend: each refusal is one line that says what was found, what was
// expected and what to do. Needs neither nvcc nor a driver.
#include "backends/cuda/device/refusals.h"

#include <gtest/gtest.h>

namespace ropewalk::cuda {
namespace {

DriverFacts driver(DriverState state) {
  DriverFacts facts;
  facts.state = state;
  facts.needs = 13000;
  return facts;
}

TEST(CudaRefusals, NothingIsWrong) {
  EXPECT_EQ(driver_refusal(driver(DriverState::works)), "");
  EXPECT_EQ(index_refusal(1, 2), "");
  EXPECT_EQ(device_refusal({"NVIDIA H200", 9, 0, DeviceState::works, ""}), "");
  EXPECT_EQ(device_refusal({"Tesla T4", 7, 5, DeviceState::works, ""}), "");
  EXPECT_EQ(kernels_refusal("NVIDIA H200", "75, 90", ""), "");
}

TEST(CudaRefusals, NoDriver) {
  DriverFacts facts = driver(DriverState::missing);
  facts.error = "libcuda.so.1: cannot open shared object file: No such file or directory";
  EXPECT_EQ(driver_refusal(facts),
            "no NVIDIA driver (libcuda.so.1: cannot open shared object file: No such file or "
            "directory); install it, or pass the GPU on to the container");
}

TEST(CudaRefusals, DriverTooOld) {
  DriverFacts facts = driver(DriverState::too_old);
  facts.supports = 12040;
  EXPECT_EQ(driver_refusal(facts),
            "the NVIDIA driver is too old: it supports CUDA 12.4, this build needs 13.0; update "
            "the driver, or build with an older toolkit");
}

TEST(CudaRefusals, NoDeviceIsVisible) {
  DriverFacts facts = driver(DriverState::shows_none);
  EXPECT_EQ(driver_refusal(facts), "the NVIDIA driver shows no device; see nvidia-smi");
  facts.visible = "";
  EXPECT_EQ(driver_refusal(facts),
            "no CUDA device is visible: CUDA_VISIBLE_DEVICES is \"\"; unset it to see all devices");
}

TEST(CudaRefusals, DriverDoesNotStart) {
  DriverFacts facts = driver(DriverState::broken);
  facts.error = "unknown error (cudaErrorUnknown)";
  EXPECT_EQ(driver_refusal(facts),
            "the NVIDIA driver does not start: unknown error (cudaErrorUnknown); see nvidia-smi");
}

TEST(CudaRefusals, NoSuchDevice) {
  EXPECT_EQ(index_refusal(7, 2), "device 7 does not exist, found 2");
}

TEST(CudaRefusals, ComputeCapability) {
  EXPECT_EQ(device_refusal({"Tesla V100", 7, 0, DeviceState::works, ""}),
            "Tesla V100 has compute capability 7.0, this backend needs 7.5; use --backend vulkan "
            "or cpu");
}

TEST(CudaRefusals, HeldByAnotherProcess) {
  EXPECT_EQ(device_refusal({"NVIDIA A100", 8, 0, DeviceState::busy, ""}),
            "NVIDIA A100 is busy: another process holds it exclusively; see nvidia-smi");
}

// A device whose properties cannot be read has no compute capability; its own error comes first.
TEST(CudaRefusals, DeviceDoesNotStart) {
  EXPECT_EQ(device_refusal({"device 0", 0, 0, DeviceState::broken, "invalid device ordinal"}),
            "device 0 does not start: invalid device ordinal; see nvidia-smi");
}

TEST(CudaRefusals, NoKernels) {
  EXPECT_EQ(kernels_refusal("NVIDIA A100", "75, 90", "no kernel image is available"),
            "NVIDIA A100: this build has no kernels for it (it was built for 75, 90): no kernel "
            "image is available; configure with ROPEWALK_CUDA_ARCHITECTURES=native on this "
            "machine");
}

}  // namespace
}  // namespace ropewalk::cuda
