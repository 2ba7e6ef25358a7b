#include "tests/checkpoint/bad_rows.h"

namespace ropewalk::test {
namespace {

Write without_config() {
  return spoil([](TinyModel& model) { model.config = nullptr; });
}

Write changed(std::function<void(std::string&)> change) {
  return spoil([change = std::move(change)](TinyModel& model) {
    std::string text = model.config.dump();
    change(text);
    model.files["config.json"] = text;
  });
}

Write rope(Json scaling) { return config_with("rope_scaling", std::move(scaling)); }

}  // namespace

std::vector<BadModel> bad_configs() {
  return {
      {"B01", "Missing", "config\\.json: does not exist", without_config()},
      {"B02", "Truncated", "config\\.json: not valid JSON at line 1, column 101",
       changed([](std::string& text) { text.resize(100); })},
      {"B02", "Empty", "config\\.json: the file is empty", file_with("config.json", "")},
      {"B03", "TrailingGarbage", "config\\.json: not valid JSON at line",
       changed([](std::string& text) { text += "}"; })},
      {"B03", "TrailingNul", "config\\.json: not valid JSON at line .* NUL",
       changed([](std::string& text) { text += '\0'; })},
      {"B03", "NotUtf8", "config\\.json: not UTF-8 at line 1, column 2",
       changed([](std::string& text) { text.insert(1, "\xff"); })},
      {"B04", "Deep", "config\\.json: nested too deeply",
       file_with("config.json", std::string(10'000, '['))},
      {"B04", "Large", "config\\.json: has .* bytes, expected at most 1048576",
       changed([](std::string& text) { text += std::string(1 << 20, ' '); })},
      {"B05", "DuplicateKey", "config\\.json: duplicate key \"hidden_size\"",
       changed([](std::string& text) { text.insert(1, "\"hidden_size\": 128,"); })},
      {"B05", "NotAnObject", "config\\.json: found a list, expected an object",
       file_with("config.json", "[1]")},
      {"B06", "ModelType",
       "config\\.json: model_type: found \"mixtral\", which chooses among experts for each token "
       "\\(MoE\\), expected LlamaForCausalLM",
       config_with("model_type", "mixtral")},
      {"B06", "AnotherFamilysScale",
       "config\\.json: residual_multiplier: found 0\\.22, which Llama models do not have",
       config_with("residual_multiplier", 0.22)},
      {"B06", "MiniCpmsScale", "config\\.json: scale_emb: found 12, which Llama models do not have",
       config_with("scale_emb", 12)},
      {"B06", "GraniteScale",
       "config\\.json: logits_scaling: found 8, which Llama models do not have",
       config_with("logits_scaling", 8)},
      {"B06", "GemmasScale", "query_pre_attn_scalar: found 144, which Llama models do not have",
       config_with("query_pre_attn_scalar", 144)},
      {"B06", "RopeOfPairs", "rope_interleaved: found true, which Llama models do not have",
       config_with("rope_interleaved", true)},
      {"B06", "PartsOfHeads", "rotary_pct: found 0\\.25, which Llama models do not have",
       config_with("rotary_pct", 0.25)},
      {"B06", "Alibi", "alibi: found true, which Llama models do not have",
       config_with("alibi", true)},
      {"B06", "Architecture",
       "config\\.json: architectures: found .*GPT2.*expected LlamaForCausalLM",
       config_with("architectures", {"GPT2LMHeadModel"})},
      {"B06", "Neither", "config\\.json: model_type: is missing", spoil([](TinyModel& model) {
         model.config.erase("model_type");
         model.config.erase("architectures");
       })},
      {"B07", "HiddenZero", "config\\.json: hidden_size: found 0", config_with("hidden_size", 0)},
      {"B07", "HiddenNegative", "config\\.json: hidden_size: found -64",
       config_with("hidden_size", -64)},
      {"B07", "HiddenOdd", "hidden_size: found 4097, expected a multiple of num_attention_heads, 2",
       config_with("hidden_size", 4097)},
      {"B07", "HiddenHuge", "config\\.json: hidden_size: found 1099511627776",
       config_with("hidden_size", 1ull << 40)},
      {"B07", "HiddenMissing", "config\\.json: hidden_size: is missing",
       spoil([](TinyModel& model) { model.config.erase("hidden_size"); })},
      {"B07", "HiddenOfAnother",
       "config\\.json: hidden_size: found 128, but model\\.embed_tokens\\.weight has the shape "
       "\\[32, 64\\], expected 128 in place of 64",
       config_with("hidden_size", 128)},
      {"B07", "InnerOfAnother",
       "config\\.json: intermediate_size: found 128, but .*gate_proj\\.scales has the shape \\[2, "
       "64",
       config_with("intermediate_size", 128)},
      {"B07", "KvHeadsOfAnother",
       "config\\.json: num_key_value_heads: found 1, but .*k_proj\\.scales has the shape \\[2, 64",
       config_with("num_key_value_heads", 1)},
      {"B07", "HeadDimOdd", "config\\.json: head_dim: found 31, expected an even number",
       config_with("head_dim", 31)},
      {"B07", "InnerZero", "config\\.json: intermediate_size: found 0",
       config_with("intermediate_size", 0)},
      {"B08", "HeadsZero", "config\\.json: num_attention_heads: found 0",
       config_with("num_attention_heads", 0)},
      {"B08", "KvHeadsZero", "config\\.json: num_key_value_heads: found 0",
       config_with("num_key_value_heads", 0)},
      {"B08", "KvHeadsMore", "num_key_value_heads: found 4, expected a divisor of .*heads, 2",
       config_with("num_key_value_heads", 4)},
      {"B08", "KvHeadsUneven", "num_key_value_heads: found 3, expected a divisor of .*heads, 4",
       spoil([](TinyModel& model) {
         model.config["num_attention_heads"] = 4;
         model.config["num_key_value_heads"] = 3;
       })},
      {"B09", "LayersHuge", "num_hidden_layers: found 1000000000, expected .* 1 to 1024",
       config_with("num_hidden_layers", 1'000'000'000)},
      {"B09", "LayersNegative", "config\\.json: num_hidden_layers: found -1",
       config_with("num_hidden_layers", -1)},
      {"B09", "LayersMore", "config\\.json: num_hidden_layers: found 2, but the tensors have 1",
       config_with("num_hidden_layers", 2)},
      {"B10", "Vocabulary",
       "config\\.json: vocab_size: found 33, but model\\.embed_tokens\\.weight has the shape "
       "\\[32, 64\\]",
       config_with("vocab_size", 33)},
      {"B10", "VocabularyHuge", "config\\.json: vocab_size: found",
       config_with("vocab_size", 1e15)},
      {"B11", "EpsZero", "config\\.json: rms_norm_eps: found 0, expected a number above 0",
       config_with("rms_norm_eps", 0)},
      {"B11", "EpsText", "config\\.json: rms_norm_eps: found \"1e-5\", expected a number",
       config_with("rms_norm_eps", "1e-5")},
      {"B11", "EpsNotANumber", "config\\.json: not valid JSON at line",
       changed([](std::string& text) { text.insert(1, "\"rms_norm_eps\": NaN,"); })},
      {"B11", "EpsOverflow", "config\\.json: not valid JSON at line .*1e999",
       changed([](std::string& text) { text.insert(1, "\"rms_norm_eps\": 1e999,"); })},
      {"B12", "ThetaZero", "config\\.json: rope_theta: found 0", config_with("rope_theta", 0)},
      {"B12", "UnknownType", "rope_scaling\\.rope_type: found \"magic\", expected .*linear.*yarn",
       rope({{"rope_type", "magic"}, {"factor", 2}})},
      {"B12", "NoType", "config\\.json: rope_scaling\\.rope_type: is missing",
       rope({{"factor", 2}})},
      {"B12", "TypesDiffer", "rope_scaling\\.rope_type: found \"linear\", but type says \"yarn\"",
       rope({{"rope_type", "linear"}, {"type", "yarn"}, {"factor", 2}})},
      {"B12", "FactorZero", "config\\.json: rope_scaling\\.factor: found 0",
       rope({{"type", "linear"}, {"factor", 0}})},
      {"B12", "FactorMissing", "config\\.json: rope_scaling\\.factor: is missing",
       rope({{"type", "linear"}})},
      {"B12", "FactorText", "config\\.json: rope_scaling\\.factor: found \"2\"",
       rope({{"type", "dynamic"}, {"factor", "2"}})},
      {"B12", "ScalingIsAText", "config\\.json: rope_scaling: found \"linear\", expected an object",
       rope("linear")},
      {"B12", "ShortFactors", "rope_scaling\\.short_factor: has 2 numbers, expected 16",
       rope({{"type", "longrope"}, {"short_factor", {1, 1}}, {"long_factor", {1, 1}}})},
      {"B12", "TwoScalings", "config\\.json: rope_parameters: differs from rope_scaling",
       spoil([](TinyModel& model) {
         model.config["rope_scaling"] = {{"type", "linear"}, {"factor", 2}};
         model.config["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 4}};
       })},
      {"B12", "CondenseRatio", "rope_condense_ratio: found 8, but rope_scaling says yarn",
       spoil([](TinyModel& model) {
         model.config["rope_scaling"] = {{"type", "yarn"}, {"factor", 2}};
         model.config["rope_condense_ratio"] = 8;
       })},
      {"B13", "PositionsZero", "config\\.json: max_position_embeddings: found 0",
       config_with("max_position_embeddings", 0)},
      {"B13", "PositionsHuge", "config\\.json: max_position_embeddings: found 1000000000000",
       config_with("max_position_embeddings", 1'000'000'000'000)},
      {"B14", "Fraction", "config\\.json: hidden_size: found 64.5, expected an integer",
       config_with("hidden_size", 64.5)},
      {"B14", "Text", "config\\.json: hidden_size: found \"64\", expected an integer",
       config_with("hidden_size", "64")},
      {"B15", "LinkOut", "config\\.json: is a symbolic link to \"/etc/hostname\"",
       [](const std::filesystem::path& directory) {
         without_config()(directory);
         std::filesystem::create_symlink("/etc/hostname", directory / "config.json");
       }},
      {"B16", "Activation", "config\\.json: hidden_act: found \"gelu\", expected \"silu\"",
       config_with("hidden_act", "gelu")},
      {"B16", "TiedText",
       "config\\.json: tie_word_embeddings: found \"no\", expected true or false",
       config_with("tie_word_embeddings", "no")},
      {"B16", "EosText", "config\\.json: eos_token_id: found \"</s>\"",
       config_with("eos_token_id", "</s>")},
      {"B16", "GenerationConfig", "generation_config\\.json: not valid JSON at line 1, column 2",
       file_with("generation_config.json", "{")},
      {"B16", "GenerationEos",
       "generation_config\\.json: eos_token_id: found .2,2\\.5., expected an integer",
       file_with("generation_config.json", R"({"eos_token_id": [2, 2.5]})")},
  };
}

std::vector<BadModel> bad_quant_configs() {
  const auto without = [](std::string key) {
    return spoil([key = std::move(key)](TinyModel& model) { model.quantize.erase(key); });
  };
  const auto method = [](std::string word) {
    return quantize_with("quant_method", std::move(word));
  };
  return {
      {"C01", "Absent",
       "quantize_config\\.json: does not exist and config\\.json has no quantization",
       spoil([](TinyModel& model) { model.quantize = nullptr; })},
      {"C02", "Bits5", "quantize_config\\.json: bits: found 5, expected 2, 3, 4 or 8",
       quantize_with("bits", 5)},
      {"C02", "Bits0", "quantize_config\\.json: bits: found 0", quantize_with("bits", 0)},
      {"C02", "Bits16", "quantize_config\\.json: bits: found 16, expected 2, 3, 4 or 8",
       quantize_with("bits", 16)},
      {"C02", "BitsText", "quantize_config\\.json: bits: found \"4\", expected 2, 3, 4 or 8",
       quantize_with("bits", "4")},
      {"C02", "BitsMissing", "quantize_config\\.json: bits: is missing", without("bits")},
      {"C03", "Group0", "quantize_config\\.json: group_size: found 0",
       quantize_with("group_size", 0)},
      {"C03", "GroupMinus2", "quantize_config\\.json: group_size: found -2",
       quantize_with("group_size", -2)},
      {"C03", "Group7", "group_size: found 7, expected -1 or a multiple of 8",
       quantize_with("group_size", 7)},
      {"C03", "GroupsOfNoSize",
       "qzeros: has 5 groups for 64 inputs .* expected 2 .* group_size 32\\) or another number",
       spoil([](TinyModel& model) {
         TinyTensor& zeros = model.tensors.at("model.layers.0.self_attn.q_proj.qzeros");
         zeros = {"I32", {5, 8}, repeated(0x77777777, 4, 40)};
       })},
      {"C03", "GroupMissing", "quantize_config\\.json: group_size: is missing",
       without("group_size")},
      {"C05", "DescActText", "quantize_config\\.json: desc_act: found \"yes\"",
       quantize_with("desc_act", "yes")},
      {"C07", "Format", "checkpoint_format: found \"gptq_v3\", expected \"gptq\" or \"gptq_v2\"",
       quantize_with("checkpoint_format", "gptq_v3")},
      {"C10", "Awq", "quant_method: found \"awq\": the checkpoint is AWQ", method("awq")},
      {"C10", "AwqVersion", "version: found \"gemm\": the checkpoint is AWQ",
       quantize_with("version", "GEMM")},
      {"C10", "Marlin", "checkpoint_format: found \"marlin\": the checkpoint is Marlin",
       quantize_with("checkpoint_format", "marlin")},
      {"C10", "MarlinFlag", "is_marlin_format: found true: the checkpoint is Marlin",
       quantize_with("is_marlin_format", true)},
      {"C10", "BitsAndBytes", "config\\.json: quantization_config\\.quant_method: .* bitsandbytes",
       spoil([](TinyModel& model) {
         model.quantize = nullptr;
         model.config["quantization_config"] = {{"quant_method", "bitsandbytes"},
                                                {"load_in_4bit", true}};
       })},
      {"C10", "Exl2", "quant_method: found \"exl2\": the checkpoint is EXL2.*GPTQ", method("exl2")},
      {"C10", "Exl3", "quant_method: found \"exl3\": the checkpoint is EXL3", method("exl3")},
      {"C10", "Gguf", "quant_method: found \"gguf\": the checkpoint is GGUF", method("gguf")},
      {"C10", "Mlx", "config\\.json: quantization: is what MLX writes.*Ropewalk reads GPTQ",
       spoil([](TinyModel& model) {
         model.quantize = nullptr;
         model.config["quantization"] = {{"bits", 4}, {"group_size", 64}};
       })},
      {"C10", "Hqq", "quant_method: found \"hqq\": the checkpoint is HQQ", method("hqq")},
      {"C10", "Unknown", "quant_method: found \"novel\", expected \"gptq\"", method("novel")},
      {"C11", "FormatOfUnequalZeros", "checkpoint_format: config\\.json's .* do not tell which",
       spoil([](TinyModel& model) {
         model.config["quantization_config"] = model.quantize;
         model.config["quantization_config"]["checkpoint_format"] = "gptq_v2";
         model.tensors.at("model.layers.0.mlp.up_proj.qzeros").bytes[0] = '\x1f';
       })},
      {"C12", "TwoSpellings", "quantize_config\\.json: w_bit: is given twice",
       quantize_with("w_bit", 4)},
      {"C12", "Truncated", "quantize_config\\.json: not valid JSON at line 1, column 10",
       file_with("quantize_config.json", R"({"bits": )")},
      {"C12", "DuplicateKey", "quantize_config\\.json: duplicate key \"bits\"",
       file_with("quantize_config.json", R"({"bits": 4, "bits": 8, "group_size": 32})")},
  };
}

}  // namespace ropewalk::test
