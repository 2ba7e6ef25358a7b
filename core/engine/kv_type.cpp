#include "core/engine/kv_type.h"

#include <fmt/format.h>

#include "core/base/error.h"

namespace ropewalk {
namespace {

abi::DType dtype_of(KvCacheType type) {
  switch (type) {
    case KvCacheType::int8:
      return abi::DType::i8;
    case KvCacheType::f32:
      return abi::DType::f32;
    default:
      return abi::DType::f16;
  }
}

}  // namespace

abi::DType kv_type_of(const Config& config, const OpenDevice& device) {
  const abi::DType type = dtype_of(config.context.kv_cache);
  if (device.device->info().kv_types >> static_cast<uint32_t>(type) & 1) return type;
  throw Error(ExitCode::usage, "context.kv_cache",
              fmt::format("{} has no cache of this type", device.name()),
              "Use f16 or int8, or --backend cpu for f32");
}

}  // namespace ropewalk
