// refuse.h — throws an Error with the exit code of bad model files, as all of this room does.
#pragma once

#include <string_view>

#include "core/base/error.h"

namespace ropewalk {

inline constexpr std::string_view kDownloadAgain =
    "The file is damaged or incomplete: download it again";

inline constexpr std::string_view kFormatAdvice =
    "Ropewalk reads GPTQ and unquantised f16, bf16 and f32 checkpoints: take one of those of this "
    "model, or convert the unquantised one with GPTQModel";

[[noreturn]] inline void refuse(std::string_view where, std::string_view what,
                                std::string_view advice) {
  throw Error(ExitCode::model, where, what, advice);
}

}  // namespace ropewalk
