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

// Throws Error: model for an adapter that does not fit the base or `unquantised`, changes nothing
// or has what run_time_refusal() names, and where `unquantised` is quantised; usage for a scale
// other than 1 of a DoRA or of biases that take the base's place. Warns where the base, or
// `unquantised` where that is known, looks like another one than the adapter was made for.
void check_for_run(const Adapter& adapter, double scale, const Checkpoint& base,
                   const Checkpoint* unquantised = nullptr);

// Opens the folder for steps of this model; its change is multiplied by `scale`. A DoRA gives rows
// of weights their length: those of `unquantised`, the model that the base was quantised from, or
// of the base where it is nullptr. Throws what check_for_run() throws. REQUIRES: scale is finite.
std::shared_ptr<const AdapterSource> open_for_run(const std::filesystem::path& folder, double scale,
                                                  const Checkpoint& base,
                                                  const Checkpoint* unquantised = nullptr);

}  // namespace ropewalk
