// devices.h — every device that the built backends find on this machine, opened through the door.
//
// Names are a backend's ("cpu"), with an index after the first device ("cuda_1"). The CPU backend
// appears once more for each narrower instruction set and for one thread ("cpu_baseline"), a Vulkan
// device without any optional feature ("vulkan_bare"), with what a GPU would run ("vulkan_gpu") and
// what one without them would ("vulkan_gpu_bare"). Two are slow to compile for and listed where
// ROPEWALK_EVERY_VARIANT is set: with matrix cores, emulated ("vulkan_gpu_matrix"), and with
// integer products of many rows ("vulkan_gpu_dot"). A CUDA device or its emulator appears once more
// with kernels that no GPU has run yet ("cuda_wgmma").
// ROPEWALK_VULKAN_LOADER names another Vulkan loader, such as tests/vulkan/reordering_loader.cpp.
// Devices stay open until the process ends. Not thread-safe.
#pragma once

#include <string>
#include <vector>

#include "core/abi/backend.h"

namespace ropewalk::test {

// Names of the usable devices, in order; a parameter list for INSTANTIATE_TEST_SUITE_P.
std::vector<std::string> device_names();

// Those that are slow to compile for and have this name or begin with it, listed or not.
std::vector<std::string> slow_device_names(const std::string& name);

// Names that ROPEWALK_EXPECT_DEVICES lists (comma separated, default "cpu").
std::vector<std::string> expected_devices();

// REQUIRES: one of these. Throws runtime_error where it cannot be opened.
abi::Device& device(const std::string& name);

// A device of the CPU backend with that many threads.
abi::Device& cpu_device(const std::string& instructions, int threads);

// Of device_names(), those with the option batch-invariant; variants without features are left out.
std::vector<std::string> invariant_device_names();

// One of them, opened with that option.
abi::Device& invariant_device(const std::string& name);

// Whether the name is of a device as users see it, and not one of the variants above.
bool is_variant(const std::string& device_name);

bool is_cpu(const std::string& device_name);

}  // namespace ropewalk::test
