#include "core/checkpoint/foreign.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/checkpoint/refuse.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

struct Method {
  std::string_view word;  // as configs write it
  std::string_view name;  // as people call it
};
constexpr std::array<Method, 22> kMethods{{
    {"awq", "AWQ"},
    {"gemm", "AWQ"},
    {"gemv", "AWQ"},
    {"gemv_fast", "AWQ"},
    {"llm-awq", "AWQ"},
    {"marlin", "Marlin"},
    {"gptq_marlin", "Marlin"},
    {"bitblas", "BitBLAS"},
    {"bitsandbytes", "bitsandbytes"},
    {"exl2", "EXL2"},
    {"exl3", "EXL3"},
    {"gguf", "GGUF"},
    {"hqq", "HQQ"},
    {"aqlm", "AQLM"},
    {"quip", "QuIP#"},
    {"eetq", "EETQ"},
    {"fp8", "FP8"},
    {"fbgemm_fp8", "FP8"},
    {"compressed-tensors", "compressed-tensors"},
    {"vptq", "VPTQ"},
    {"spqr", "SpQR"},
    {"auto-round", "AutoRound"},
}};

// Endings of tensor names in other formats.
constexpr std::array<Method, 13> kTensors{{
    {".q_weight", "EXL2"},
    {".q_scale_max", "EXL2"},
    {".trellis", "EXL3"},
    {".absmax", "bitsandbytes"},
    {".quant_map", "bitsandbytes"},
    {".SCB", "bitsandbytes"},
    {".workspace", "Marlin"},
    {".B", "Marlin"},
    {".W_q", "HQQ"},
    {".weight_packed", "compressed-tensors"},
    {".weight_scale", "FP8"},
    {".weight_scale_inv", "FP8"},
    {".codebooks", "AQLM"},
}};

std::string lower_tensor_name(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

void check_word(const JsonFields& fields, std::string_view key) {
  const auto& members = fields.json();
  if (!members.contains(key) || !members[std::string(key)].is_string()) return;
  const std::string word = lower_tensor_name(fields.text(key));
  for (const Method& method : kMethods)
    if (word == method.word)
      fields.fail(
          key, fmt::format("found \"{}\": the checkpoint is {}, expected GPTQ", word, method.name),
          kFormatAdvice);
}

void check_flag(const JsonFields& fields, std::string_view key, std::string_view name) {
  if (fields.has(key) && fields.boolean(key))
    fields.fail(key, fmt::format("found true: the checkpoint is {}, expected GPTQ", name),
                kFormatAdvice);
}

}  // namespace

void refuse_foreign_method(const JsonFields& fields) {
  for (const std::string_view key : {"quant_method", "checkpoint_format", "version"})
    check_word(fields, key);
  check_flag(fields, "is_marlin_format", "Marlin");
  check_flag(fields, "load_in_4bit", "bitsandbytes");
  check_flag(fields, "load_in_8bit", "bitsandbytes");
  if (!fields.has("quant_method")) return;
  const std::string method = lower_tensor_name(fields.text("quant_method"));
  if (method != "gptq")
    fields.fail("quant_method", fmt::format("found \"{}\", expected \"gptq\"", printable(method)),
                kFormatAdvice);
}

void refuse_mlx(const JsonFields& config) {
  if (config.has("quantization") && !config.has("quantization_config"))
    config.fail("quantization", "is what MLX writes: the checkpoint is MLX's, expected GPTQ",
                kFormatAdvice);
}

void refuse_foreign_files(const ModelDirectory& directory) {
  const std::vector<std::string> names = directory.names();
  const auto ending = [&](std::string_view suffix) {
    return std::find_if(names.begin(), names.end(),
                        [&](const std::string& name) { return name.ends_with(suffix); });
  };
  if (ending(".safetensors") != names.end() || ending(".bin") != names.end()) return;
  if (const auto gguf = ending(".gguf"); gguf != names.end())
    refuse(directory.path_of(*gguf), "is a GGUF file, expected safetensors", kFormatAdvice);
  if (const auto meta = ending(".pth"); meta != names.end())
    refuse(directory.path_of(*meta), "is in Meta's own format, expected safetensors",
           "Convert it with transformers' convert_llama_weights_to_hf.py");
  if (const auto pt = ending(".pt"); pt != names.end())
    refuse(directory.path_of(*pt), "is a bare PyTorch file, expected safetensors",
           "Take the safetensors files of this model");
}

void refuse_foreign_tensors(std::span<const TensorInfo> tensors, const ModelDirectory& directory) {
  for (const TensorInfo& tensor : tensors)
    for (const Method& method : kTensors)
      if (tensor.name.ends_with(method.word))
        refuse(fmt::format("{}: {}", directory.path_of(tensor.file), tensor.name),
               fmt::format("is a tensor of the format {}, expected GPTQ", method.name),
               kFormatAdvice);
}

}  // namespace ropewalk
