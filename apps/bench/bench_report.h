// bench_report.h — prints what `ropewalk bench` measures: text line by line, so that an interrupted
// run has printed its results so far; or one JSON object at the end.
#pragma once

#include <string>

#include "apps/bench/bench_runs.h"
#include "core/json/json.h"

namespace ropewalk {

enum class BenchOutput { text, json };

class BenchReport {
 public:
  explicit BenchReport(BenchOutput output) : output_(output) {}

  // The model and its device, before the first row.
  void begin(const std::string& model, const Runtime& runtime, const Ceiling& ceiling);
  void add_row(const BenchRow& row);
  void add_left_out(const DecodeRun& run);
  void set_peak_host_bytes(uint64_t bytes);
  // Tokens/s of the first decode row without act-order. REQUIRES: there is a decode row.
  void set_in_order(double tokens_per_s);
  // Prints the JSON object.
  void end();

 private:
  void say(const std::string& text) const;

  const BenchOutput output_;
  Ceiling ceiling_ = {};
  double first_decode_rate_ = 0;  // tokens/s
  Json json_;
};

}  // namespace ropewalk
