// foreign.h — quantised formats that are not GPTQ, refused by name with what to do about it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/checkpoint/formats/files.h"
#include "core/checkpoint/formats/tensor_info.h"
#include "core/json/json_fwd.h"

namespace ropewalk {

// By the quantisation config's method. Throws Error unless it is GPTQ or absent.
void refuse_foreign_method(const JsonFields& fields);

// By the key of config.json that has MLX's settings.
void refuse_mlx(const JsonFields& config);

// By the files of a directory: GGUF and Meta's own files where there are none of ours.
void refuse_foreign_files(const ModelDirectory& directory);

// By the names that other quantisers give their tensors.
void refuse_foreign_tensors(std::span<const TensorInfo> tensors, const ModelDirectory& directory);

}  // namespace ropewalk
