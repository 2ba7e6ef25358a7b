// The bytes are a whole safetensors file. The reader throws Error or gives consecutive entries that
// cover the data exactly.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "core/checkpoint/formats/safetensors.h"
#include "core/json/json_fields.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  const JsonSource source{"fuzz.safetensors", ExitCode::model};
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const auto prefix = bytes.first(std::min<size_t>(size, kSafetensorsPrefix));
    const uint64_t length = safetensors_header_size(prefix, size, source);
    const std::string_view json(reinterpret_cast<const char*>(data) + kSafetensorsPrefix, length);
    uint64_t covered = 0;
    for (const SafetensorsEntry& entry : parse_safetensors_header(json, size, source)) {
      if (entry.begin != covered || entry.end < entry.begin) std::abort();
      covered = entry.end;
    }
    if (covered != size - kSafetensorsPrefix - length) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
