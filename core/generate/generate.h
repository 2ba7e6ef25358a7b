// generate.h — runs one request alone on an engine and streams its text.
//
// One call at a time on an Engine; the cancel flag may be set from a signal handler or another
// thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "core/engine/engine.h"
#include "core/generate/running.h"

namespace ropewalk {

struct GenerateEvents {
  const std::atomic<bool>* cancel = nullptr;                           // checked between steps
  std::function<void(std::string_view)> on_text = {};                  // Taken::text; never empty
  std::function<void(uint32_t done, uint32_t total)> on_prefill = {};  // prompt tokens
  // The logits that a token is about to be sampled from, (vocab). Its time counts as the step's.
  std::function<void(std::span<const float>)> on_logits = {};
};

// Throws Error: as Running does, plugin and usage for a sampler, and non_finite, device_lost,
// out_of_memory. A reply that fills the context ends with Finish::length.
Reply generate(Engine& engine, CachedText& text, const Request& request,
               const GenerateEvents& events);

}  // namespace ropewalk
