#include "core/eval/windows.h"

#include <algorithm>
#include <array>
#include <utility>

namespace ropewalk {
namespace {

constexpr std::array<std::pair<std::string_view, Protocol>, 4> kProtocols = {{
    {"chunk", Protocol::chunk},
    {"hf-stride", Protocol::hf_stride},
    {"llamacpp", Protocol::llamacpp},
    {"jsonl", Protocol::jsonl},
}};

std::vector<Window> disjoint(uint64_t tokens, uint32_t length, uint32_t scored, bool bos) {
  std::vector<Window> windows;
  for (uint64_t begin = 0; begin + length <= tokens; begin += length) {
    windows.push_back({begin, length, scored, bos});
  }
  return windows;
}

std::vector<Window> strided(uint64_t tokens, uint32_t length, uint32_t stride) {
  std::vector<Window> windows;
  uint64_t previous_end = 0;
  for (uint64_t begin = 0; begin < tokens; begin += stride) {
    const uint64_t end = std::min(begin + length, tokens);
    // The text's first token has no context to be predicted from.
    const uint64_t first = std::max<uint64_t>(previous_end, begin + 1);
    windows.push_back(
        {begin, static_cast<uint32_t>(end - begin), static_cast<uint32_t>(first - begin), false});
    previous_end = end;
    if (end == tokens) break;
  }
  return windows;
}

}  // namespace

std::optional<Protocol> protocol_named(std::string_view name) {
  for (const auto& [known, protocol] : kProtocols) {
    if (known == name) return protocol;
  }
  return std::nullopt;
}

std::string_view protocol_name(Protocol protocol) {
  for (const auto& [name, known] : kProtocols) {
    if (known == protocol) return name;
  }
  return "unknown";
}

std::vector<Window> cut_windows(const WindowSettings& settings, uint64_t tokens) {
  std::vector<Window> windows;
  switch (settings.protocol) {
    case Protocol::hf_stride:
      windows = strided(tokens, settings.length, settings.stride);
      break;
    case Protocol::llamacpp:
      // llama.cpp reads the logits at L/2 .. L - 2, which predict the tokens that follow.
      if (tokens >= 2 * uint64_t{settings.length}) {
        windows = disjoint(tokens, settings.length, settings.length / 2 + 1, true);
      }
      break;
    default:
      windows = disjoint(tokens, settings.length, 1, false);
      break;
  }
  if (settings.last) {
    for (Window& window : windows) {
      const uint32_t from = window.length > *settings.last ? window.length - *settings.last : 0;
      window.scored = std::max(window.scored, from);
    }
  }
  // A window without a scored token (one token is left after the last stride) need not run.
  std::erase_if(windows, [](const Window& w) { return w.scored >= w.length; });
  return windows;
}

}  // namespace ropewalk
