#include "tests/checkpoint/tiny_model.h"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace ropewalk::test {
namespace {

constexpr uint16_t kHalfOne = 0x3c00;

std::string words(const std::vector<uint32_t>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(uint32_t)};
}

// Distinct finite halves around 0.06, so that a misplaced element shows.
std::string halves(uint64_t count) {
  std::string bytes;
  for (uint64_t i = 0; i < count; ++i) bytes += repeated(0x2c00 + i % 251, 2, 1);
  return bytes;
}

// Every word different, whatever codes that makes.
std::string codes(uint64_t count) {
  std::vector<uint32_t> values;
  for (uint64_t i = 0; i < count; ++i) values.push_back(static_cast<uint32_t>(i * 2654435761u));
  return words(values);
}

// `bits`-wide codes of 2^(bits-1)-1, the v1 spelling of a symmetric zero point.
std::string symmetric_zeros(uint32_t bits, uint64_t count) {
  std::vector<uint32_t> values(count, 0);
  for (uint64_t bit = 0; bit < count * 32; ++bit)
    if (bit % bits != bits - 1) values[bit / 32] |= 1u << (bit % 32);
  return words(values);
}

std::string act_order(uint32_t rows, uint32_t group) {
  std::vector<uint32_t> values;
  for (uint32_t k = 0; k < rows; ++k) values.push_back((k * 37 + 11) % rows / group);
  return words(values);
}

void add_quantised(TinyModel& model, const std::string& prefix, const TinySize& size, uint32_t rows,
                   uint32_t cols) {
  const uint64_t groups = (rows + size.group - 1) / size.group;
  const uint64_t down = rows * size.bits / 32, across = cols * size.bits / 32;
  model.tensors[prefix + ".qweight"] = {"I32", {down, cols}, codes(down * cols)};
  model.tensors[prefix + ".qzeros"] = {
      "I32", {groups, across}, symmetric_zeros(size.bits, groups * across)};
  model.tensors[prefix + ".scales"] = {"F16", {groups, cols}, halves(groups * cols)};
  model.tensors[prefix + ".g_idx"] = {"I32", {rows}, act_order(rows, size.group)};
}

template <class AddLayer>
TinyModel build(const TinySize& size, const AddLayer& add_layer) {
  TinyModel model;
  const uint32_t query = size.heads * size.head_dim, key = size.kv_heads * size.head_dim;
  model.config = Json{{"architectures", {"LlamaForCausalLM"}},
                      {"model_type", "llama"},
                      {"vocab_size", size.vocab},
                      {"hidden_size", size.hidden},
                      {"intermediate_size", size.inner},
                      {"num_hidden_layers", size.layers},
                      {"num_attention_heads", size.heads},
                      {"num_key_value_heads", size.kv_heads},
                      {"max_position_embeddings", 128},
                      {"rms_norm_eps", 1e-5},
                      {"bos_token_id", 1},
                      {"eos_token_id", 2}};
  const auto table = [&](uint64_t rows, uint64_t cols) {
    return TinyTensor{"F16", {rows, cols}, halves(rows * cols)};
  };
  const TinyTensor norm{"F16", {size.hidden}, repeated(kHalfOne, 2, size.hidden)};
  model.tensors["model.embed_tokens.weight"] = table(size.vocab, size.hidden);
  model.tensors["lm_head.weight"] = table(size.vocab, size.hidden);
  model.tensors["model.norm.weight"] = norm;
  for (uint32_t i = 0; i < size.layers; ++i) {
    const std::string block = "model.layers." + std::to_string(i) + ".";
    model.tensors[block + "input_layernorm.weight"] = norm;
    model.tensors[block + "post_attention_layernorm.weight"] = norm;
    add_layer(model, block + "self_attn.q_proj", size.hidden, query);
    add_layer(model, block + "self_attn.k_proj", size.hidden, key);
    add_layer(model, block + "self_attn.v_proj", size.hidden, key);
    add_layer(model, block + "self_attn.o_proj", query, size.hidden);
    add_layer(model, block + "mlp.gate_proj", size.hidden, size.inner);
    add_layer(model, block + "mlp.up_proj", size.hidden, size.inner);
    add_layer(model, block + "mlp.down_proj", size.inner, size.hidden);
  }
  return model;
}

}  // namespace

TinyModel tiny_model_of(const TinySize& size) {
  TinyModel model =
      build(size, [&](TinyModel& into, const std::string& prefix, uint32_t rows, uint32_t cols) {
        add_quantised(into, prefix, size, rows, cols);
      });
  model.quantize =
      Json{{"bits", size.bits}, {"group_size", size.group}, {"desc_act", true},
           {"sym", true},       {"quant_method", "gptq"},   {"checkpoint_format", "gptq"}};
  return model;
}

TinyModel tiny_model() { return tiny_model_of(TinySize{}); }

TinyModel tiny_dense() {
  return build(TinySize{},
               [](TinyModel& into, const std::string& prefix, uint64_t rows, uint64_t cols) {
                 into.tensors[prefix + ".weight"] = {"F16", {cols, rows}, halves(rows * cols)};
               });
}

std::string safetensors_file(std::string_view header, std::string_view data) {
  return repeated(header.size(), 8, 1) + std::string(header) + std::string(data);
}

TinyFile safetensors_parts(const std::map<std::string, TinyTensor>& tensors) {
  TinyFile file;
  Json header = Json::object();
  header["__metadata__"] = {{"format", "pt"}};
  for (const auto& [name, tensor] : tensors) {
    const size_t begin = file.data.size();
    file.data += tensor.bytes;
    header[name] = {{"dtype", tensor.dtype},
                    {"shape", tensor.shape},
                    {"data_offsets", {begin, file.data.size()}}};
  }
  file.header = header.dump();
  return file;
}

std::string repeated(uint64_t value, size_t value_bytes, size_t count) {
  std::string one;
  for (size_t i = 0; i < value_bytes; ++i) one += static_cast<char>(value >> (8 * i) & 255);
  std::string all;
  for (size_t i = 0; i < count; ++i) all += one;
  return all;
}

void write_model(const TinyModel& model, const std::filesystem::path& directory) {
  if (!model.config.is_null()) write_file(directory / "config.json", model.config.dump(1));
  if (!model.quantize.is_null())
    write_file(directory / "quantize_config.json", model.quantize.dump(1));
  if (!model.tensors.empty()) {
    const TinyFile file = safetensors_parts(model.tensors);
    write_file(directory / "model.safetensors", safetensors_file(file.header, file.data));
  }
  for (const auto& [name, bytes] : model.files) write_file(directory / name, bytes);
}

}  // namespace ropewalk::test
