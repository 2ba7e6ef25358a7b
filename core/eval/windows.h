// windows.h — how a text is cut into windows, and which of their tokens are scored: the protocols.
//
// Perplexities of different protocols cannot be compared: a window's first tokens have little
// context, so at short lengths the choice of scored tokens matters more than the model. Pure
// functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace ropewalk {

enum class Protocol {
  // Disjoint windows of L tokens, no BOS, every token but the first is scored; a shorter last
  // window is left out. GPTQ-for-LLaMa, AutoGPTQ, AWQ and the usual wikitext tables.
  chunk,
  // A window of L tokens moves on by the stride; tokens that an earlier window scored are context
  // only. Hugging Face's "Perplexity of fixed-length models", weighted by tokens.
  hf_stride,
  // Disjoint windows of L tokens whose first is replaced by BOS; the second half is scored, that is
  // the tokens at L/2 + 1 .. L - 1. llama.cpp's perplexity program.
  llamacpp,
  // Each text of a JSON Lines file on its own, cut to L tokens, no BOS, every token but the first;
  // texts of at most 50 characters are skipped and 100 are taken. exllama's perplexity.py.
  jsonl,
};

std::optional<Protocol> protocol_named(std::string_view name);
std::string_view protocol_name(Protocol protocol);

// Tokens [begin, begin + length) of the text. Those from begin + scored on are scored.
struct Window {
  uint64_t begin;
  uint32_t length;
  uint32_t scored;
  bool bos;  // the first token is replaced by BOS
};

struct WindowSettings {
  Protocol protocol = Protocol::chunk;
  uint32_t length = 512;              // L
  uint32_t stride = 256;              // of hf_stride
  std::optional<uint32_t> last = {};  // score only the last N positions of each window
};

// Windows over a text of `tokens` tokens. Empty where the text is too short for one (llamacpp needs
// two). REQUIRES: length >= 2, 1 <= stride <= length; not jsonl, whose texts are windows already.
std::vector<Window> cut_windows(const WindowSettings& settings, uint64_t tokens);

}  // namespace ropewalk
