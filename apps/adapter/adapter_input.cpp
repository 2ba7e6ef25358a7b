#include "apps/adapter/adapter_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>

#include "apps/command_line.h"
#include "apps/open.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/config/model_path.h"

namespace ropewalk {
namespace {

struct GivenAdapter {
  std::filesystem::path folder;
  double scale = 1;
};

// A folder whose name holds a colon is taken as it is where it exists.
GivenAdapter split(const std::string& name) {
  const size_t colon = name.rfind(':');
  std::error_code error;
  if (colon == std::string::npos || std::filesystem::is_directory(name, error)) return {name};
  const char *begin = name.data() + colon + 1, *end = name.data() + name.size();
  double scale = 0;
  const auto [stop, fault] = std::from_chars(begin, end, scale);
  const bool usable = std::abs(scale) <= std::numeric_limits<float>::max() && scale != 0;
  if (fault != std::errc{} || stop != end || !usable)
    refuse_command_line(
        fmt::format("found {}, expected DIR:SCALE with a finite number other than 0",
                    printable(name)),
        "");
  return {name.substr(0, colon), scale};
}

}  // namespace

OpenAdapters open_adapters(const std::vector<std::string>& names) {
  OpenAdapters open;
  for (const std::string& name : names) {
    const GivenAdapter named = split(name);
    for (const auto& adapter : open.adapters)
      if (adapter->directory().lexically_normal() == named.folder.lexically_normal())
        refuse_command_line(
            fmt::format("the adapter {} is named twice", printable(named.folder.string())),
            "Name it once, with the sum of the scales");
    open.adapters.push_back(std::make_unique<Adapter>(named.folder));
    open.scaled.push_back({open.adapters.back().get(), named.scale});
  }
  return open;
}

Config open_base_config(const CommonArguments& arguments, const std::string& base) {
  CommonArguments with_base = arguments;
  with_base.target = base;
  Config config = open_config(with_base);
  require_model(config.model, config.hub_name);
  return config;
}

void warn_of(const std::vector<std::string>& doubts) {
  for (const std::string& doubt : doubts) warn(doubt);
}

}  // namespace ropewalk
