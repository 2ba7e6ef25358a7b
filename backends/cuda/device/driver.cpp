#include "backends/cuda/device/driver.h"

#include <dlfcn.h>

namespace ropewalk::cuda {

std::string missing_driver() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!driver) return dlerror();
  dlclose(driver);
  return "";
}

}  // namespace ropewalk::cuda
