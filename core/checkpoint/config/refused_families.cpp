#include "core/checkpoint/config/refused_families.h"

namespace ropewalk {
namespace {

struct Refused {
  std::string_view model_type, why;
};

constexpr std::string_view kExperts = "chooses among experts for each token (MoE)";
constexpr std::string_view kLatent =
    "stores keys and values as latent vectors (MLA) and has experts";
constexpr std::string_view kRecurrent = "has recurrent layers, which keep a state and no keys";
constexpr std::string_view kLayerNorm = "normalises by LayerNorm, where Ropewalk has RMSNorm";
constexpr std::string_view kAlibi = "tells positions by ALiBi, where Ropewalk has RoPE";
constexpr std::string_view kPictures = "reads pictures and rotates by several positions a token";
constexpr std::string_view kPerLayer = "has embeddings of its own for every layer";
constexpr std::string_view kOwnNames = "names and stores its tensors as its own code does";

constexpr Refused kRefused[] = {
    {"mixtral", kExperts},
    {"qwen2_moe", kExperts},
    {"qwen3_moe", kExperts},
    {"phimoe", kExperts},
    {"granitemoe", kExperts},
    {"olmoe", kExperts},
    {"dbrx", kExperts},
    {"gpt_oss", kExperts},
    {"llama4", kExperts},
    {"deepseek_v2", kLatent},
    {"deepseek_v3", kLatent},
    {"minicpm3", "stores keys and values as latent vectors (MLA)"},
    {"mamba", kRecurrent},
    {"mamba2", kRecurrent},
    {"falcon_mamba", kRecurrent},
    {"falcon_h1", kRecurrent},
    {"zamba", kRecurrent},
    {"zamba2", kRecurrent},
    {"lfm2", kRecurrent},
    {"nemotron_h", kRecurrent},
    {"qwen3_next", kRecurrent},
    {"qwen3_5", kRecurrent},
    {"granitemoehybrid", kRecurrent},
    {"stablelm", kLayerNorm},
    {"cohere", kLayerNorm},
    {"cohere2", kLayerNorm},
    {"phi", kLayerNorm},
    {"starcoder2", kLayerNorm},
    {"gpt_neox", kLayerNorm},
    {"gptj", kLayerNorm},
    {"gpt2", kLayerNorm},
    {"opt", kLayerNorm},
    {"falcon", kLayerNorm},
    {"bloom", kAlibi},
    {"mpt", kAlibi},
    {"qwen2_vl", kPictures},
    {"qwen2_5_vl", kPictures},
    {"mllama", "reads pictures in layers of their own"},
    {"gemma3n", kPerLayer},
    {"gemma4", kPerLayer},
    {"baichuan", kOwnNames},
    {"chatglm", kOwnNames},
    {"qwen", kOwnNames},
    {"Yi", "names its norms as its first code did; later files of the same models say \"llama\""},
};

}  // namespace

std::string_view why_refused(std::string_view model_type) {
  for (const Refused& refused : kRefused)
    if (refused.model_type == model_type) return refused.why;
  return "";
}

}  // namespace ropewalk
