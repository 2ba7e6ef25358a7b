#include "core/exec/ceiling.h"

namespace ropewalk {
namespace {

std::optional<double> measure(abi::Device& device, abi::Measurement what, double unit) {
  double value = 0;
  if (!device.measure(what, &value).ok() || value <= 0) return std::nullopt;
  return value / unit;
}

}  // namespace

Ceiling measure_ceiling(abi::Device& device) {
  return {measure(device, abi::Measurement::read_bandwidth, 1e9),
          measure(device, abi::Measurement::copy_bandwidth, 1e9),
          measure(device, abi::Measurement::matmul_rate, 1e12)};
}

}  // namespace ropewalk
