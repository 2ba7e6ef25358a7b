// quantize_command.h — commands.h for `ropewalk quantize`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/commands.h"

namespace ropewalk {

struct QuantizeArguments {
  CommonArguments common = {};                // its target is the base
  std::string out = {};                       // folder
  std::vector<std::string> calibration = {};  // files
  std::string dump_calibration = {};          // file; empty: none
  uint32_t bits = 4;
  int32_t group_size = 32;         // -1: one group
  bool allow_short_group = false;  // where the size does not divide the inputs
  std::string order = "act";
  bool asymmetric = false;
  std::string zeros = "v1";
  double damp = 0.01;
  std::string search = "weighted";
  std::string method = "gptq";
  std::vector<std::string> skip = {};   // patterns of layers that stay dense
  bool layer_sequential = false;        // sets of a layer see what its dense weights compute
  bool asymmetric_calibration = false;  // aim at what the dense model computes
  std::string solver = "auto";          // or host or device
  std::string compat = {};              // autogptq, or empty
  // Kinds of windows: how many of them, and of how many tokens; one count is that of every length.
  std::vector<uint32_t> samples = {128};
  std::vector<uint32_t> lengths = {};  // empty: 2048, or the model's context where that is shorter
  uint64_t seed = 0;
  std::string shard_size = {};  // "4GB"; empty: one file
  bool fresh = false;
};

int quantize_model(const QuantizeArguments& arguments);

}  // namespace ropewalk
