// probe_record.h — the probe child's answer to the host: a description or a refusal, as fields that
// each end with a NUL. Private to core/modules.
//
//   ropewalk-probe \0 refused \0 REASON \0 end \0
//   ropewalk-probe \0 module \0 KIND \0 NAME \0 ... \0 COUNT \0 OPTION... \0 end \0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/modules/description.h"

namespace ropewalk {

struct ProbeRefusal {
  std::string reason;
};
using ProbeAnswer = std::variant<ModuleDescription, ProbeRefusal>;

std::string encode_answer(const ProbeAnswer& answer);

// Nothing where the record is truncated or garbled: code in the child may write anything.
std::optional<ProbeAnswer> decode_answer(std::string_view record);

}  // namespace ropewalk
