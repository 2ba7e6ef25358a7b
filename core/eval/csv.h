// csv.h — comma-separated values, as spreadsheets and Python's csv module write them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

struct CsvRow {
  uint32_t line;  // where it starts, from 1
  std::vector<std::string> cells;
};

// Cells in quotes may hold commas, line ends and doubled quotes; rows end with \n or \r\n; empty
// lines are skipped. Throws Error(usage) with FILE:LINE for a quote that is not closed and for text
// after a closing quote. Source: RFC 4180.
std::vector<CsvRow> parse_csv(std::string_view text, const std::string& file);

}  // namespace ropewalk
