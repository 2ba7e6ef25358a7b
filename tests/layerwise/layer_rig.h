// layer_rig.h — a fixture model on the CPU backend in f32 throughout, to be run part by part.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/layerwise/layer_device.h"
#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {

struct LayerRig {
  static constexpr uint32_t kTokens = 64;  // of the longest of texts()

  LayerRig(const std::string& variant, uint32_t threads)
      : LayerRig(config_with(variant, threads)) {}
  explicit LayerRig(Config with) : LayerRig(std::move(with), kTokens) {}
  LayerRig(Config with, uint32_t tokens)
      : config(std::move(with)),
        registry(make_registry(config)),
        checkpoint(Checkpoint::open(config.model, config_families())),
        device(registry, config, checkpoint->config(), tokens) {}

  static Config config_with(const std::string& variant, uint32_t threads) {
    Config config = fixture_config(variant, expected_of(variant));
    config.context.length = kTokens;
    set_option(config, "threads", std::to_string(threads));
    return config;
  }

  // Texts of different lengths, of ids all over the vocabulary.
  std::vector<std::vector<int32_t>> texts() const {
    std::vector<std::vector<int32_t>> texts;
    uint32_t state = 1;
    for (const size_t length : {64u, 33u, 1u, 64u, 50u, 64u}) {
      texts.emplace_back();
      for (size_t i = 0; i < length; ++i) {
        state = state * 1664525u + 1013904223u;
        texts.back().push_back(
            static_cast<int32_t>((state >> 8) % checkpoint->config().vocab_size));
      }
    }
    return texts;
  }

  Config config;
  Registry registry;
  std::unique_ptr<Checkpoint> checkpoint;
  LayerDevice device;
};

}  // namespace ropewalk::test
