// bad_rows.h — short ways to say how a tiny model is spoilt. Private to the bad_*.cpp tables.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "tests/checkpoint/bad_models.h"
#include "tests/checkpoint/tiny_model.h"

namespace ropewalk::test {

using Write = std::function<void(const std::filesystem::path&)>;

inline Write spoil(std::function<void(TinyModel&)> change) {
  return [change = std::move(change)](const std::filesystem::path& directory) {
    TinyModel model = tiny_model();
    change(model);
    write_model(model, directory);
  };
}

inline Write config_with(std::string key, Json value) {
  return spoil([key = std::move(key), value = std::move(value)](TinyModel& model) {
    model.config[key] = value;
  });
}

inline Write quantize_with(std::string key, Json value) {
  return spoil([key = std::move(key), value = std::move(value)](TinyModel& model) {
    model.quantize[key] = value;
  });
}

inline Write file_with(std::string name, std::string bytes) {
  return spoil([name = std::move(name), bytes = std::move(bytes)](TinyModel& model) {
    model.files[name] = bytes;
  });
}

}  // namespace ropewalk::test
