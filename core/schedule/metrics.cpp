#include "core/schedule/metrics.h"

#include <algorithm>

namespace ropewalk {
namespace {

// As vLLM's metrics have them, so that its dashboards' queries find their buckets.
constexpr double kRequestBounds[] = {.3, .5, .8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                     30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680};
constexpr double kFirstTokenBounds[] = {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,  .75,
                                        1,    2.5,  5,   7.5, 10,  20,  40,  80, 160, 640, 2560};
constexpr double kTokenBounds[] = {.01, .025, .05, .075, .1,  .15, .2, .3, .4, .5,
                                   .75, 1,    2.5, 5,    7.5, 10,  20, 40, 80};
constexpr double kStepBounds[] = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
constexpr double kTokensBounds[] = {1,   2,    5,    10,   20,    50,    100,   200,
                                    500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};

}  // namespace

const std::span<const double> kRequestSeconds = kRequestBounds;
const std::span<const double> kFirstTokenSeconds = kFirstTokenBounds;
const std::span<const double> kTokenSeconds = kTokenBounds;
const std::span<const double> kStepTokens = kStepBounds;
const std::span<const double> kRequestTokens = kTokensBounds;

void Histogram::add(double value) {
  ++counts[static_cast<size_t>(std::ranges::lower_bound(bounds, value) - bounds.begin())];
  sum += value;
  ++count;
}

}  // namespace ropewalk
