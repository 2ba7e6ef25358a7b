// options.h — the options of this backend, read once.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "core/abi/backend.h"
#include "core/abi/options.h"

namespace ropewalk::vulkan {

// Failures that tests cause on a healthy device.
struct Faults {
  uint64_t lost_at_step = 0;  // the queue reports a lost device at this step, counted from 1
  uint64_t hang_at_step = 0;  // this step never ends
  uint64_t oom_after = 0;     // bytes that can be allocated; 0: what the device has
  uint64_t memory = 0;        // bytes that the device reports as free; 0: what the driver says
  uint64_t step_ms = 0;       // that each step seems to take; 0: as long as it does
};

// Which kind of device the shaders are tuned for; automatic: the kind this one is. With `gpu` a
// processor runs what a GPU would, so that it is tested without one.
enum class Tuning { automatic, gpu, processor };

enum class Switch { automatic, always, never };

// automatic: the first that computes, which mostly draws too; compute: one that does not draw,
// where there is one.
enum class Queue { automatic, compute };

// automatic: on matrix cores, where the device has them; emulated: their tiles in plain GLSL, for
// tests.
enum class MatrixUse { automatic, never, emulated };

// Who joins the splits of an attention of few rows: the last workgroup of each head, or a dispatch
// of its own.
enum class Combine { last, own };

struct Options {
  // Throws Failure (invalid_argument) for a name or a fault that does not exist.
  explicit Options(const abi::Options& given);

  bool has(const std::string& feature) const { return !masked.contains(feature); }

  std::string loader;
  bool validate;                 // run under the Khronos layer; its messages become failures
  bool pipeline_cache;           // keep compiled shaders on disk
  std::set<std::string> masked;  // features that are treated as missing
  Faults faults;
  uint64_t submit_limit_ms;  // how long one submission may run; 0: by the kind of device
  uint64_t submit_mflop;     // arithmetic of one submission at most; 0: by the kind of device
  Tuning tuning;
  Switch float16;    // matrix products on f16 with sums in f32; automatic: where it is faster
  Switch dot;        // 4-bit products of few rows by integer dot products; automatic: where the
                     // hardware has the instruction
  MatrixUse matrix;  // f16 products of many rows
  Queue queue;
  Combine combine;
  uint64_t prefetch_mib;  // of the next product's weights, read beside what runs before it
  bool batch_invariant;   // no kernel depends on the number of rows in a step
};

// In software the device is the machine's own cores, which run other programs' work too.
inline uint64_t submit_limit_of(uint64_t option, abi::DeviceType type) {
  if (option > 0) return option;
  return type == abi::DeviceType::software ? 120000 : 30000;
}

extern const abi::OptionInfo kOptions[15];

}  // namespace ropewalk::vulkan
