#include "apps/quantize/quantize_config.h"

#include "apps/model_files.h"
#include "apps/quantize/quantize_options.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

// The layers whose damping had to be raised.
Json raised_damping(const QuantizeArguments& arguments, const Json& matrices) {
  Json raised = Json::object();
  for (const Json& matrix : matrices)
    if (matrix["damp"].get<double>() > arguments.damp)
      raised[matrix["name"].get<std::string>()] = matrix["damp"];
  return raised;
}

// As AutoGPTQ, GPTQModel, transformers and vLLM read it. `desc_act` says whether the columns of a
// group lie apart: static and gar files are stored in order and stay on the loaders' fast paths.
// Optimum from 2.1 on takes an unsaid `act_group_aware` for true and refuses it beside desc_act.
Json quantization_of(const QuantizeArguments& arguments, const QuantizedFacts& facts) {
  return {{"bits", arguments.bits},
          {"group_size", arguments.group_size},
          {"desc_act", arguments.order == "act" && arguments.method == "gptq"},
          {"act_group_aware", arguments.order == "gar" && arguments.method == "gptq"},
          {"static_groups", false},
          {"sym", !arguments.asymmetric},
          {"true_sequential", !arguments.layer_sequential},
          {"damp_percent", arguments.damp},
          {"lm_head", false},
          {"quant_method", "gptq"},
          {"checkpoint_format", arguments.zeros == "v1" ? "gptq" : "gptq_v2"},
          {"pack_dtype", "int32"},
          {"model_name_or_path", nullptr},
          {"model_file_base_name", "model"},
          {"meta",
           {{"quantizer", {"ropewalk:" ROPEWALK_VERSION}},
            {"act_order", arguments.order},
            {"search", arguments.search},
            {"method", arguments.method},
            {"skip", arguments.skip},
            {"asymmetric_calibration", arguments.asymmetric_calibration},
            {"adapter", facts.adapter},
            {"source_sha256", facts.source_sha256},
            {"calibration_sha256", facts.calibration_sha256},
            {"tokens", facts.tokens},
            {"damp_raised", raised_damping(arguments, facts.matrices)}}}};
}

}  // namespace

void add_quantize_config(const QuantizeArguments& arguments, const QuantizedFacts& facts,
                         const std::filesystem::path& base, OutputFolder& folder) {
  const Json report = {{"settings", settings_json(arguments)},
                       {"source_sha256", facts.source_sha256},
                       {"calibration_sha256", facts.calibration_sha256},
                       {"tokens", facts.tokens},
                       {"adapter", facts.adapter},
                       {"solver", solver_name(facts.solver)},
                       {"matrices", facts.matrices}};
  folder.add_text("ropewalk-quantize.json", report.dump(1) + "\n");
  const Json quantization = quantization_of(arguments, facts);
  folder.add_text("quantize_config.json", quantization.dump(2) + "\n");
  Json config = read_config_json(base);
  config[config.contains("dtype") ? "dtype" : "torch_dtype"] = "float16";
  config["quantization_config"] = quantization;
  folder.add_text(std::string(kModelConfig), config.dump(2) + "\n");
}

}  // namespace ropewalk
