// backends.h — the backends that whole models are tested on, and how exact each one is.
//
// RW_BACKENDS, a compile definition, lists those that a program has ("cpu,vulkan,vulkan_gpu").
// CUDA_TEST_BACKEND leaves one of them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {

struct TestBackend {
  std::string name;
  std::string backend;  // of the configuration
  std::vector<std::pair<std::string, std::string>> options;
  std::vector<KvCacheType> caches;  // the first one is used where a test needs only one
  // How far a log-probability may be from transformers', and from the CPU backend's with the same
  // cache, where a code of the int8 cache at a tie may round the other way.
  double transformers, cpu, cpu_int8;
  double batch;  // how much the other rows of a step may change a logit
};

// The backends of this program, in the order of the table.
std::vector<TestBackend> test_backends();

// The variant's configuration on this backend.
Config config_of(const TestBackend& backend, const std::string& variant);

// Why it cannot be used on this machine; empty: it can.
std::string why_missing(const TestBackend& backend);

// For gtest: shows the name.
void PrintTo(const TestBackend& backend, std::ostream* out);

}  // namespace ropewalk::test
