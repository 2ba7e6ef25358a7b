// rig.h — a tiny model on a device that computes nothing, with its executor.
#pragma once

#include <memory>

#include "core/exec/executor.h"
#include "core/model/decoder.h"
#include "core/model/synthetic.h"
#include "tests/exec/fake_device.h"

namespace ropewalk::test {

inline ModelConfig tiny() {
  ModelConfig config;
  config.vocab_size = 64;
  config.hidden_size = 32;
  config.intermediate_size = 32;
  config.layers = 1;
  config.heads = config.kv_heads = 1;
  config.head_dim = 32;
  config.max_position = 1024;
  config.rms_norm_eps = 1e-5;
  return config;
}

// A tiny model on the fake device, four pages a sequence.
struct Rig {
  explicit Rig(bool rope_varies)
      : weights(make_synthetic(tiny(), std::nullopt, 1)),
        policy(rope_varies),
        rope(policy, {32, 10000.0, 1024, 0, 1024}, RopeMode::hf_compat, {32}),
        model(device, *weights,
              build_decoder(*weights, {abi::DType::f32, abi::DType::f16, 8, 1.0,
                                       abi::KeyRotation::before_cache, 256}),
              settings()),
        cache(8, 256, 1024),
        executor(device, model, rope, shape()) {}

  static abi::ProgramShape shape() { return {512, 4, 4, 4}; }
  static LoadSettings settings() {
    LoadSettings settings;
    settings.programs = shapes_within(shape());
    settings.device_name = "fake";
    return settings;
  }

  FakeDevice device;
  std::unique_ptr<WeightSource> weights;
  LengthPolicy policy;
  RopeTables rope;
  LoadedModel model;
  KvCache cache;
  Executor executor;
};

}  // namespace ropewalk::test
