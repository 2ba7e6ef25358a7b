#include <cstring>
#include <limits>

#include "tests/checkpoint/bad_rows.h"

namespace ropewalk::test {
namespace {

// Each pattern names the tensor, so one layer stands for all.
const std::string kQ = "model.layers.0.self_attn.q_proj";
const std::string kPlace = "model\\.safetensors: model\\.layers\\.0\\.self_attn\\.q_proj\\.";

Write tensor(std::string name, std::function<void(TinyTensor&)> change) {
  return spoil([name = std::move(name), change = std::move(change)](TinyModel& model) {
    change(model.tensors.at(name));
  });
}

Write without(std::string name) {
  return spoil([name = std::move(name)](TinyModel& model) { model.tensors.erase(name); });
}

Write reshaped(std::string name, std::vector<uint64_t> shape) {
  return tensor(std::move(name), [shape = std::move(shape)](TinyTensor& it) {
    uint64_t count = 1;
    for (const uint64_t size : shape) count *= size;
    it.bytes.resize(count * (it.dtype == "F16" ? 2 : 4), '\0');
    it.shape = shape;
  });
}

template <class Word>
Write element(std::string name, size_t index, Word value) {
  return tensor(std::move(name), [=](TinyTensor& it) {
    std::memcpy(it.bytes.data() + index * sizeof value, &value, sizeof value);
  });
}

Write group_of_row(size_t row, int32_t group) { return element(kQ + ".g_idx", row, group); }

constexpr uint16_t kHalfNan = 0x7e00, kHalfInfinity = 0x7c00, kHalfMinusInfinity = 0xfc00;

Write sized(TinySize size) {
  return
      [=](const std::filesystem::path& directory) { write_model(tiny_model_of(size), directory); };
}

Write added(std::string name, TinyTensor it) {
  return spoil(
      [name = std::move(name), it = std::move(it)](TinyModel& model) { model.tensors[name] = it; });
}

Write of_family(std::string model_type, std::string architecture, std::string bias) {
  return spoil([=](TinyModel& model) {
    model.config.update({{"model_type", model_type}, {"architectures", {architecture}}});
    if (!bias.empty()) model.tensors[bias] = {"F16", {64}, std::string(128, '\x3c')};
  });
}

// What a checkpoint has and its family has not would be left out in silence.
std::vector<BadModel> tensors_of_other_families() {
  return {
      {"E01", "Qwen2sBias", "q_proj\\.bias: the tensor is missing",
       of_family("qwen2", "Qwen2ForCausalLM", "")},
      {"E01", "Qwen3sBias", kPlace + "bias: is a bias that qwen3 models do not have",
       spoil([](TinyModel& model) {
         model.config.update(
             {{"model_type", "qwen3"}, {"architectures", {"Qwen3ForCausalLM"}}, {"head_dim", 32}});
         model.tensors[kQ + ".bias"] = {"F16", {64}, std::string(128, '\x3c')};
       })},
      {"E01", "MistralsBias", kPlace + "bias: is a bias that mistral models do not have",
       of_family("mistral", "MistralForCausalLM", kQ + ".bias")},
  };
}

std::vector<BadModel> foreign_tensors() {
  const auto foreign = [](const std::string& name) { return added(kQ + name, {"U8", {1}, "x"}); };
  return {
      {"C10", "Exl2Tensor", kPlace + "q_weight: is a tensor of the format EXL2",
       foreign(".q_weight")},
      {"C10", "Exl3Tensor", kPlace + "trellis: is a tensor of the format EXL3",
       foreign(".trellis")},
      {"C10", "BnbTensor", kPlace + "weight\\.absmax: is a tensor of the format bitsandbytes",
       foreign(".weight.absmax")},
      {"C10", "MarlinTensor", kPlace + "workspace: is a tensor of the format Marlin",
       foreign(".workspace")},
  };
}

std::vector<BadModel> bad_shapes() {
  return {
      {"E01", "NoQweight", "q_proj\\.qweight: the tensor is missing", without(kQ + ".qweight")},
      {"E01", "NoQzeros", "q_proj\\.qzeros: the tensor is missing", without(kQ + ".qzeros")},
      {"E01", "NoScales", "q_proj\\.scales: the tensor is missing", without(kQ + ".scales")},
      {"E01", "NoGroupIndex", "q_proj\\.g_idx: the tensor is missing", without(kQ + ".g_idx")},
      {"E01", "NoHead", "lm_head\\.weight: the tensor is missing", without("lm_head.weight")},
      {"E01", "NoNorm", "model\\.norm\\.weight: the tensor is missing",
       without("model.norm.weight")},
      {"E01", "NoEmbedding", "model\\.embed_tokens\\.weight: the tensor is missing",
       without("model.embed_tokens.weight")},
      {"E04", "Transposed", kPlace + "qweight: found shape \\[64, 8\\], expected",
       reshaped(kQ + ".qweight", {64, 8})},
      {"E04", "RankOne", kPlace + "qweight: found shape \\[8\\], expected \\[8, 64\\]",
       reshaped(kQ + ".qweight", {8})},
      {"E04", "Scalar", kPlace + "qweight: found shape \\[\\], expected",
       reshaped(kQ + ".qweight", {})},
      {"E05", "ZerosNarrow", kPlace + "qzeros: found shape \\[2, 4\\], expected \\[2, 8\\]",
       reshaped(kQ + ".qzeros", {2, 4})},
      {"E05", "ZerosScalar",
       kPlace + "qzeros: found I32 of shape \\[\\], expected I32 of \\[groups",
       reshaped(kQ + ".qzeros", {})},
      {"E06", "ScalesRows", kPlace + "scales: found shape \\[3, 64\\], expected \\[2, 64\\]",
       reshaped(kQ + ".scales", {3, 64})},
      {"E07", "OutputsNotWhole", "gate_proj\\.qzeros: 60 outputs of 4 bits do not fill whole",
       sized({.inner = 60})},
      {"E08", "InputsNotWhole",
       kPlace + "qweight: found shape \\[7, 60\\], expected 7.5 rows for 60 inputs",
       sized({.hidden = 60, .head_dim = 30})},
      {"E09", "QweightHalf", kPlace + "qweight: found type F16, expected I32",
       tensor(kQ + ".qweight",
              [](TinyTensor& it) {
                it.dtype = "F16";
                it.bytes.resize(it.bytes.size() / 2);
              })},
      {"E09", "QweightLong", kPlace + "qweight: found type I64, expected I32",
       tensor(kQ + ".qweight",
              [](TinyTensor& it) {
                it.dtype = "I64";
                it.bytes += it.bytes;
              })},
      {"E09", "ScalesInteger", kPlace + "scales: found type I16, expected F16",
       tensor(kQ + ".scales", [](TinyTensor& it) { it.dtype = "I16"; })},
      {"E09", "NormInteger", "model\\.norm\\.weight: found type I16, expected F16, BF16 or F32",
       tensor("model.norm.weight", [](TinyTensor& it) { it.dtype = "I16"; })},
      {"E11", "GroupIndexShort", kPlace + "g_idx: found shape \\[63\\], expected \\[64\\]",
       reshaped(kQ + ".g_idx", {63})},
  };
}

std::vector<BadModel> bad_values() {
  return {
      {"E10", "GroupTooLarge", kPlace + "g_idx: found group 2 for row 5, expected 0 to 1",
       group_of_row(5, 2)},
      {"E10", "GroupMinusOne", kPlace + "g_idx: found group -1 for row 0", group_of_row(0, -1)},
      {"E10", "GroupLeast", kPlace + "g_idx: found group -2147483648",
       group_of_row(63, std::numeric_limits<int32_t>::min())},
      {"E10", "GroupGreatest", kPlace + "g_idx: found group 2147483647",
       group_of_row(63, std::numeric_limits<int32_t>::max())},
      {"E10", "GroupsUnequal", kPlace + "g_idx: gives .* rows to group 0, expected 32",
       spoil([](TinyModel& model) {
         std::string& bytes = model.tensors.at(kQ + ".g_idx").bytes;
         bytes[0] = static_cast<char>(bytes[0] ^ 1);
       })},
      {"E12", "GroupsAllZero", kPlace + "g_idx: gives 64 rows to group 0, expected 32",
       tensor(kQ + ".g_idx", [](TinyTensor& it) { it.bytes.assign(it.bytes.size(), '\0'); })},
      {"E15", "ScaleNan", kPlace + "scales: holds 1 values that are NaN .* first at index 17",
       element(kQ + ".scales", 17, kHalfNan)},
      {"E15", "ScaleInfinite", kPlace + "scales: holds 1 values .* first at index 127",
       element(kQ + ".scales", 127, kHalfMinusInfinity)},
      {"E15", "ScalesAllNan", kPlace + "scales: holds 128 values .* first at index 0",
       tensor(kQ + ".scales", [](TinyTensor& it) { it.bytes = repeated(kHalfNan, 2, 128); })},
      {"E16", "NormNan", "model\\.norm\\.weight: holds 1 values that are NaN .* first at index 3",
       element("model.norm.weight", 3, kHalfNan)},
      {"E16", "EmbeddingInfinite", "embed_tokens\\.weight: holds 64 values .* first at index 1984",
       tensor("model.embed_tokens.weight",
              [](TinyTensor& it) {
                it.bytes.replace(it.bytes.size() - 128, 128, repeated(kHalfInfinity, 2, 64));
              })},
      {"E17", "BiasShape", kPlace + "bias: found shape \\[32\\], expected \\[64\\]",
       added(kQ + ".bias", {"F16", {32}, repeated(0, 2, 32)})},
      {"E17", "BiasType", kPlace + "bias: found type I32, expected F16, BF16 or F32",
       added(kQ + ".bias", {"I32", {64}, repeated(1, 4, 64)})},
      {"E17", "BiasNan", kPlace + "bias: holds 64 values that are NaN",
       added(kQ + ".bias", {"F16", {64}, repeated(kHalfNan, 2, 64)})},
  };
}

}  // namespace

std::vector<BadModel> bad_tensors() {
  std::vector<BadModel> rows = bad_shapes();
  for (const auto& more : {bad_values(), foreign_tensors(), tensors_of_other_families()})
    rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

}  // namespace ropewalk::test
