#include "tests/apps/small_model.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <vector>

#include "core/json/json.h"

namespace ropewalk::test {
namespace {

constexpr uint32_t kVocab = 1024;  // the bundled tokenizer's
constexpr uint32_t kEndToken = 2;

// Writes tensors one after the other and their header last, then both into the file.
class Writer {
 public:
  void add(const std::string& name, std::vector<uint32_t> shape, const std::vector<float>& values) {
    const size_t begin = data_.size();
    const auto* bytes = reinterpret_cast<const char*>(values.data());
    data_.append(bytes, values.size() * sizeof(float));
    header_[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, data_.size()}}};
  }
  void add_random(const std::string& name, uint32_t rows, uint32_t cols) {
    std::vector<float> values(uint64_t{rows} * cols);
    for (float& value : values) {
      seed_ = seed_ * 6364136223846793005u + 1442695040888963407u;
      value =
          (static_cast<float>(seed_ >> 40) * 0x1p-23f - 1) / std::sqrt(static_cast<float>(cols));
    }
    if (name == "lm_head.weight") {
      std::fill_n(values.begin() + kEndToken * cols, cols, 0.0f);
      for (uint64_t i = uint64_t{kVocab} * cols; i < values.size(); ++i) values[i] *= 100;
    }
    add(name, {rows, cols}, values);
  }
  void write(const std::filesystem::path& file) const {
    const std::string header = header_.dump();
    const uint64_t size = header.size();
    std::ofstream out(file, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&size), sizeof size);
    out << header << data_;
  }

 private:
  Json header_ = Json::object();
  std::string data_;
  uint64_t seed_ = 1;
};

}  // namespace

void write_small_model(const std::filesystem::path& folder, const SmallModel& model) {
  std::filesystem::create_directories(folder);
  for (const char* name : {"tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"})
    std::filesystem::copy_file(std::filesystem::path(RW_SOURCE_DIR) / "models/airophin-mini" / name,
                               folder / name, std::filesystem::copy_options::overwrite_existing);
  const uint32_t h = model.hidden;
  const Json config = {{"architectures", {"LlamaForCausalLM"}},
                       {"model_type", "llama"},
                       {"hidden_act", "silu"},
                       {"hidden_size", h},
                       {"intermediate_size", 2 * h},
                       {"num_hidden_layers", model.layers},
                       {"num_attention_heads", 2},
                       {"num_key_value_heads", 2},
                       {"max_position_embeddings", model.context},
                       {"rms_norm_eps", 1e-5},
                       {"rope_theta", 10000.0},
                       {"tie_word_embeddings", false},
                       {"torch_dtype", "float32"},
                       {"bos_token_id", 1},
                       {"eos_token_id", kEndToken},
                       {"vocab_size", kVocab + model.padding}};
  std::ofstream(folder / "config.json") << config.dump(1);

  Writer writer;
  const std::vector<float> ones(h, 1.0f);
  writer.add_random("model.embed_tokens.weight", kVocab + model.padding, h);
  for (uint32_t i = 0; i < model.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    writer.add(layer + "input_layernorm.weight", {h}, ones);
    writer.add(layer + "post_attention_layernorm.weight", {h}, ones);
    for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"})
      writer.add_random(layer + "self_attn." + name + ".weight", h, h);
    writer.add_random(layer + "mlp.gate_proj.weight", 2 * h, h);
    writer.add_random(layer + "mlp.up_proj.weight", 2 * h, h);
    writer.add_random(layer + "mlp.down_proj.weight", h, 2 * h);
  }
  writer.add("model.norm.weight", {h}, ones);
  writer.add_random("lm_head.weight", kVocab + model.padding, h);
  writer.write(folder / "model.safetensors");
}

std::string write_small_config(const std::filesystem::path& folder, const SmallModel& model) {
  write_small_model(folder / "model", model);
  const std::filesystem::path file = folder / "small.yaml";
  std::ofstream(file) << "model: model\nbackend: cpu\ngeneration: {max_new_tokens: 16}\n";
  return file.string();
}

}  // namespace ropewalk::test
