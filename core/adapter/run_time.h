// run_time.h — an adapter beside a model's weights while the model runs, quantised or not.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/adapter/adapter.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/weights/adapter_source.h"

namespace ropewalk {

// What a running model cannot take of it, in words: whole tensors other than biases, and changes of
// tables. Empty: it takes all of it.
std::string run_time_refusal(const Adapter& adapter);

// Opens the folder for steps of this model; its change is multiplied by `scale`. For a DoRA it
// reads the base's weights. Warns of what looks like another base. Throws Error: model for an
// adapter that does not fit the base, changes nothing or has what run_time_refusal() names; usage
// for a scale other than 1 of a DoRA or of biases that take the base's place. REQUIRES: scale is
// finite.
std::shared_ptr<const AdapterSource> open_for_run(const std::filesystem::path& folder, double scale,
                                                  const Checkpoint& base);

}  // namespace ropewalk
