// A driver that CUDA's runtime loads in place of libcuda.so.1. It has no devices and fails as the
// environment says: FAKE_CUDA_VERSION is the version that it supports (13000), FAKE_CUDA_INIT the
// CUresult of cuInit().
#include <cstdlib>
#include <cstring>

namespace {

constexpr int kUnsupported = 801;

int number(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value ? std::atoi(value) : otherwise;
}

int unsupported() { return kUnsupported; }

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int cuDriverGetVersion(int* version) {
  *version = number("FAKE_CUDA_VERSION", 99000);
  return 0;
}

__attribute__((visibility("default"))) int cuInit(unsigned) { return number("FAKE_CUDA_INIT", 0); }

__attribute__((visibility("default"))) int cuGetProcAddress_v2(const char* name, void** function,
                                                               int, unsigned long long,
                                                               int* found) {
  if (found) *found = 0;
  if (!std::strcmp(name, "cuDriverGetVersion"))
    *function = reinterpret_cast<void*>(cuDriverGetVersion);
  else if (!std::strcmp(name, "cuInit"))
    *function = reinterpret_cast<void*>(cuInit);
  else if (!std::strcmp(name, "cuGetProcAddress"))
    *function = reinterpret_cast<void*>(cuGetProcAddress_v2);
  else
    *function = reinterpret_cast<void*>(unsupported);
  return 0;
}

}  // extern "C"
