// number_options.h — command-line options that take numbers within bounds.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace ropewalk {

// Both ends are allowed. Help lines do not show the bounds: CLI11 words them as types.
template <class Number>
CLI::Validator between(Number min, Number max) {
  return CLI::Range(min, max).description("");
}

// Numbers separated by commas.
inline CLI::Option* add_counts(CLI::App& app, const std::string& name,
                               std::vector<uint32_t>& counts, const CLI::Validator& bounds,
                               const std::string& help) {
  return app.add_option(name, counts, help)
      ->type_name("N,N,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(bounds);
}

}  // namespace ropewalk
