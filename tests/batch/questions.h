// questions.h — lines of a batch's input and output, for tests.
#pragma once

#include <string>

#include "core/batch/result_line.h"
#include "core/json/json.h"

namespace ropewalk::test {

inline std::string question(const std::string& id) {
  return Json({{"custom_id", id},
               {"method", "POST"},
               {"url", "/v1/completions"},
               {"body", {{"prompt", "hi"}}}})
             .dump() +
         "\n";
}

inline std::string answer(const std::string& id, int status = 200) {
  return batch::result_line(id, {.status = status, .body = "{\"of\":" + Json(id).dump() + "}"});
}

}  // namespace ropewalk::test
