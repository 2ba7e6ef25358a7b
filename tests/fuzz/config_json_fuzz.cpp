// The bytes are a config.json. The reader throws Error or gives a shape that can be computed with.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/log.h"
#include "core/checkpoint/config/model_config.h"
#include "core/json/json.h"
#include "core/model/families.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  set_verbosity(Verbosity::quiet);
  const JsonSource source{"config.json", ExitCode::model};
  try {
    const Json json = parse_json({reinterpret_cast<const char*>(data), size}, source);
    const ModelConfig config = parse_model_config(json, source, config_families());
    const bool sound = config.heads > 0 && config.kv_heads > 0 &&
                       config.heads % config.kv_heads == 0 && config.head_dim % 2 == 0 &&
                       config.head_dim > 0 && config.layers <= 1024 && config.rms_norm_eps > 0 &&
                       config.rope.theta >= 1 && !config.rope.policy.empty();
    if (!sound) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
