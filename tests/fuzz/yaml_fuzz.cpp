// yaml_fuzz.cpp — any bytes as a configuration: refused in words, or read; and what was read is
// dumped and read back to the same.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/config/config.h"

namespace {

using ropewalk::Config;

Config parse(std::string_view text) {
  return ropewalk::parse_config(text, {.file = "/nonexistent/fuzz.yaml"});
}

void demand(bool holds, const std::string& dump) {
  if (holds) return;
  std::fprintf(stderr, "not read back to the same:\n%s", dump.c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ropewalk::set_verbosity(ropewalk::Verbosity::quiet);
  Config config;
  try {
    config = parse({reinterpret_cast<const char*>(data), size});
  } catch (const ropewalk::Error&) {
    return 0;
  }
  // The origins in the first dump are the input's, in the second and third those of a dump.
  const std::string first = dump_config(config);
  const Config again = parse(first);
  const std::string second = dump_config(again);
  demand(dump_config(parse(second)) == second, second);
  demand(again.model == config.model, first);
  demand(again.prompt.system == config.prompt.system, first);
  demand(again.generation.stop == config.generation.stop, first);
  demand(again.plugin_paths == config.plugin_paths, first);
  demand(again.sampling.size() == config.sampling.size(), first);
  return 0;
}
