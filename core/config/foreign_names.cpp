#include "core/config/foreign_names.h"

#include <algorithm>

#include "core/config/keys.h"

namespace ropewalk {
namespace {

struct ForeignName {
  std::string_view name;  // with _
  std::string_view key;
};

// Names in llama.cpp, exllama, text-generation-webui, transformers and OpenAI's API.
constexpr ForeignName kForeign[] = {
    {"max_tokens", "generation.max_new_tokens"},
    {"max_completion_tokens", "generation.max_new_tokens"},
    {"n_predict", "generation.max_new_tokens"},
    {"predict", "generation.max_new_tokens"},
    {"max_seq_len", "context.length"},
    {"max_model_len", "context.length"},
    {"ctx_size", "context.length"},
    {"n_ctx", "context.length"},
    {"ctx", "context.length"},
    {"context", "context.length"},
    {"context_length", "context.length"},
    {"cache_type", "context.kv_cache"},
    {"cache_mode", "context.kv_cache"},
    {"rope_scaling", "rope"},
    {"rope_freq_scale", "rope"},
    {"rope_freq_base", "rope"},
    {"compress_pos_emb", "rope"},
    {"alpha_value", "rope"},
    {"chat_template", "prompt.format"},
    {"template", "prompt.format"},
    {"instruction_template", "prompt.format"},
    {"prompt_format", "prompt.format"},
    {"prompt_template", "prompt.format"},
    {"system_prompt", "prompt.system"},
    {"stop_strings", "generation.stop"},
    {"stopping_strings", "generation.stop"},
    {"reverse_prompt", "generation.stop"},
    {"add_bos_token", "prompt.bos"},
    {"main_gpu", "backend.device"},
    {"samplers", "sampling"},
    {"temp", "sampling.temperature"},
    {"temperature", "sampling.temperature"},
    {"top_p", "sampling.top-p"},
    {"top_k", "sampling.top-k"},
    {"top_a", "sampling.top-a"},
    {"min_p", "sampling.min-p"},
    {"typical_p", "sampling.typical"},
    {"tfs", "sampling.tail-free"},
    {"repeat_penalty", "sampling.repetition-penalty"},
    {"repetition_penalty", "sampling.repetition-penalty"},
    {"presence_penalty", "sampling.frequency-presence"},
    {"frequency_penalty", "sampling.frequency-presence"},
    {"mirostat", "sampling.mirostat"},
    {"logit_bias", "sampling.logit-bias"},
    {"lora", "adapters"},
    {"lora_modules", "adapters"},
    {"lora_dir", "adapters"},
    {"max_loras", "adapter_slots"},
    {"host", "serve.listen"},
    {"port", "serve.listen"},
    {"api_key", "serve.keys.file"},
};

// Options of llama.cpp and exllama that no key of the configuration replaces.
struct ForeignOption {
  std::string_view name, advice;
};
constexpr std::string_view kOneDevice = "The whole model is on one device, which --backend names";
constexpr std::string_view kAllCores = "Every core is used that the process may use, see taskset";
constexpr ForeignOption kForeignOptions[] = {
    {"-ngl", kOneDevice},
    {"--n-gpu-layers", kOneDevice},
    {"--gpu-layers", kOneDevice},
    {"--gpu-split", kOneDevice},
    {"--tensor-split", kOneDevice},
    {"-t", kAllCores},
    {"--threads", kAllCores},
    {"-f", "Write --prompt-file FILE"},
    {"--file", "Write --prompt-file FILE"},
    {"-s", "Write --seed N"},
    {"-sys", "Write --set prompt.system=TEXT, or the key into the configuration"},
};

// Commands of llama.cpp, ollama, vLLM and others.
constexpr std::string_view kDownload =
    "Hugging Face's tool downloads models: hf download ORG/NAME; ropewalk inspect ORG/NAME looks";
constexpr ForeignOption kForeignCommands[] = {
    {"ask", "Did you mean run"},
    {"complete", "Did you mean run"},
    {"generate", "Did you mean run"},
    {"server", "Did you mean serve"},
    {"info", "Did you mean inspect"},
    {"show", "Did you mean inspect"},
    {"convert", "Did you mean quantize"},
    {"benchmark", "Did you mean bench"},
    {"pull", kDownload},
    {"download", kDownload},
    {"version", "Write ropewalk --version"},
};

std::string with_underscores(std::string_view name) {
  std::string text(name);
  std::ranges::replace(text, '-', '_');
  return text;
}

}  // namespace

std::string key_meant_by(std::string_view name) {
  const std::string plain = with_underscores(name);
  const auto foreign = std::ranges::find(kForeign, plain, &ForeignName::name);
  if (foreign != std::end(kForeign)) return std::string(foreign->key);
  std::string found;
  for (const KeyInfo& key : config_keys()) {
    const size_t dot = key.path.rfind('.');
    if (dot == std::string_view::npos || key.path.substr(dot + 1) != plain) continue;
    if (!found.empty()) return "";  // it could be either
    found = key.path;
  }
  return found;
}

std::string key_of_option(std::string_view option) {
  if (!option.starts_with("--")) return option == "-c" ? "context.length" : "";
  return key_meant_by(option.substr(2));
}

std::string_view advice_on_option(std::string_view option) {
  const auto found = std::ranges::find(kForeignOptions, option, &ForeignOption::name);
  return found == std::end(kForeignOptions) ? "" : found->advice;
}

std::string_view advice_on_command(std::string_view command) {
  const auto found = std::ranges::find(kForeignCommands, command, &ForeignOption::name);
  return found == std::end(kForeignCommands) ? "" : found->advice;
}

}  // namespace ropewalk
