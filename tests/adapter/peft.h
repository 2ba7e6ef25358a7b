// peft.h — adapters that PEFT trained and saved (tools/adapters), and what it computes with them.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/json/json.h"
#include "tests/files.h"

namespace ropewalk::test {

inline std::string peft_folder(const std::string& adapter) {
  return RW_FIXTURES "/adapters/" + adapter;
}

inline Json peft_expects(const std::string& variant) {
  const std::string file = peft_folder(variant) + "/expected.json";
  return parse_json(read_file(file), {file, ExitCode::model});
}

inline auto peft_variants() {
  return testing::Values("lora", "rslora-patterns", "dora", "tables", "tokens", "bias", "combined",
                         "dora-linears", "dora-bias");
}

inline std::string variant_name(const testing::TestParamInfo<const char*>& row) {
  std::string name = row.param;
  std::erase(name, '-');
  return name;
}

}  // namespace ropewalk::test
