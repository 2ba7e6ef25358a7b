// common_options.h — command-line options that several files of commands have.
#pragma once

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdint>
#include <string>

#include "apps/commands.h"

namespace ropewalk {

inline constexpr uint32_t kMaxTokenCount = 1 << 24;  // that a command takes as a number

// A shorthand for --set KEY=VALUE; the configuration says which values are allowed. It is applied
// before --set, so that --backend vulkan --set backend.device=1 gives both.
inline CLI::Option* add_shorthand(CLI::App& app, CommonArguments& common, const std::string& name,
                                  std::string key, const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&common, key](const std::string& value) {
            common.overrides.insert(common.overrides.begin(), key + "=" + value);
          },
          fmt::format("{} (--set {}=...)", help, key))
      ->type_name("VALUE");
}

inline CLI::Option* add_config(CLI::App& app, CommonArguments& common) {
  return app
      .add_option(
          "CONFIG,-m,--model", common.target,
          "The configuration, a YAML file; or a model's folder, or ORG/NAME as Hugging Face's "
          "cache has it")
      ->type_name("CONFIG|MODEL");
}

inline void add_json(CLI::App& app, CommonArguments& common) {
  app.add_flag("--json", common.json, "Answer with one JSON object on one line");
}

}  // namespace ropewalk
