// output_vectors.h — what an adapter does to the outputs of linear layers beside its low-rank
// change: the stretch of a DoRA and biases.
//
//   y' = f (W x + s B A x) + bias'                        f: 1, or m / |W + s B A| of a DoRA's rows
//      = y + (g y + h) + f s B A x     with y = W x + bias,  g = f - 1,  h = bias' - bias - g bias
//
// bias' is the base's, or the one that takes its place, and s times that of lora_B. As in PEFT a
// DoRA leaves the bias as it is.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/checkpoint/checkpoint.h"

namespace ropewalk {

struct OutputVectors {
  std::vector<float> gain, shift;  // g and h, (outputs) each
};

// Those of all layers that have any, by module. Reads every weight under a DoRA once, a few MiB at
// a time, on up to four threads. Throws Error (model) for a row of length 0 under a DoRA, and for
// weights that are not finite. REQUIRES: check_fit() has passed.
std::map<std::string, OutputVectors, std::less<>> output_vectors(const Adapter& adapter,
                                                                 const Checkpoint& base);

}  // namespace ropewalk
