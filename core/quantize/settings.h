// settings.h — how a matrix is quantised. Plain data.
#pragma once

#include <cstdint>

namespace ropewalk::quantize {

// In which order columns are rounded, and which of them share a scale.
enum class Order : uint8_t {
  act,    // by falling diagonal of H; a group is what comes one after the other (desc_act)
  fixed,  // the same order, but groups lie as stored and have their ranges beforehand (static_groups)
  gar,    // sorted within stored groups, groups by their largest (act_group_aware)
  stored,  // as stored
};

// How a group's range is found: from its smallest and largest value, or by trying factors of that.
enum class Search : uint8_t {
  none,
  mse,       // least sum of |error|^2.4, factors 1 to 0.21
  weighted,  // least sum of (error / U_kk)^2, what the error will cost; factors 1.10 to 0.51
};

// What qzeros can say: v1 stores z - 1, so z is at least 1 (AutoGPTQ's form); v2 stores z.
enum class ZeroForm : uint8_t { v1, v2 };

struct Settings {
  uint8_t bits = 4;           // 2, 3, 4 or 8
  uint32_t group_size = 32;   // columns that share a scale; 0: all. The last group may have fewer
  bool short_groups = false;  // whether a model may have layers with such a last group
  Order order = Order::act;
  bool symmetric = true;
  ZeroForm zeros = ZeroForm::v1;
  double damp = 0.01;  // of H's mean diagonal, added to its diagonal
  Search search = Search::weighted;
  // As AutoGPTQ: a group's range is found from the weights as they stood when its block of 128
  // columns began, and errors are those of its scale in f32, which the file rounds to f16.
  bool as_autogptq = false;
  uint32_t threads = 1;  // the result does not depend on it

  int32_t max_code() const { return (1 << bits) - 1; }
};

}  // namespace ropewalk::quantize
