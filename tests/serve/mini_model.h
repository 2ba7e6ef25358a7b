// mini_model.h — the bundled model's text side, as a server knows it: no weights are read.
#pragma once

#include <string>
#include <vector>

#include "core/serve/api_error.h"
#include "core/serve/request/ask.h"
#include "core/serve/request/chain_edit.h"

namespace ropewalk::test {

class MiniModel {
 public:
  // `overrides` as those of --set.
  explicit MiniModel(const std::vector<std::string>& overrides = {})
      : config(parse_config("model: \"" RW_SOURCE_DIR "/models/airophin-mini\"\n"
                            "prompt: {format: vicuna-v1.1}\n",
                            {.file = "mini.yaml", .overrides = overrides})),
        registry_({.install_folder = RW_MODULE_DIR, .paths = {}}),
        text(registry_, config),
        model{.config = config,
              .text = text,
              .context_length = 64,
              .vocab = text.tokenizer().vocab_size(),
              .name = "airophin-mini",
              .fingerprint = "f00d",
              .batch_invariant = true,
              .created = 7,
              .samplers = {}} {
    for (const serve::LinkInfo& link : serve::known_links()) model.samplers.emplace_back(link.name);
  }

  serve::Ask completion(const std::string& body) const {
    return serve::read_completion(Json::parse(body), model, serve::Strictness::tolerant);
  }
  serve::Ask chat(const std::string& body) const {
    return serve::read_chat(Json::parse(body), model, serve::Strictness::tolerant);
  }

  const Config config;

 private:
  Registry registry_;

 public:
  const TextSide text;
  serve::ServedModel model;
};

// One for all tests of a program.
inline const MiniModel& mini() {
  static const MiniModel kModel;
  return kModel;
}

// "400 code param" of the ApiError that `body` throws.
template <class Body>
std::string refusal_of(Body&& body) {
  try {
    body();
  } catch (const serve::ApiError& error) {
    return std::to_string(error.status()) + " " + error.code() + " " + error.param();
  }
  return "taken";
}

}  // namespace ropewalk::test
