// common_options.h — command-line options that several files of commands have.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdint>

#include "apps/commands.h"

namespace ropewalk {

inline constexpr uint32_t kMaxTokenCount = 1 << 24;  // that a command takes as a number

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
