// job.h — a closed-context question as a YAML file:
//
//   inputs:
//     - file: report.txt                  # relative to this file
//       meta: {url: https://web.site/123, date: 2021-01-01}
//     - text: Ropes are made of hemp.
//   instructions: ["What are ropes made of? Source?"]
//   plain: false                          # true: PLAINFORMAT after the last instruction
#pragma once

#include <string>
#include <vector>

#include "core/config/trust.h"
#include "core/text/closed_context.h"

namespace ropewalk {

struct ClosedContextJob {
  std::vector<ContextInput> inputs = {};
  std::vector<std::string> instructions = {};
  bool plain = false;
};

// Throws Error(usage) with FILE:LINE:COL: not YAML, an unknown key, another shape than above.
ClosedContextJob read_job(const std::string& file, Trust trust);

}  // namespace ropewalk
