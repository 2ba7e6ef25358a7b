#include "apps/adapter/adapter_options.h"

#include "apps/common_options.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

void add_out(CLI::App& app, std::string& out) {
  app.add_option("--out", out, "Folder to make; nothing is overwritten")
      ->type_name("DIR")
      ->required();
}

}  // namespace

void add_options(CLI::App& app, AdapterCheckArguments& check) {
  app.add_option("DIR", check.adapter, "The adapter's folder")->required();
  CLI::Option* base =
      app.add_option("--base", check.base, "The model that it is for: configuration or folder")
          ->type_name("CONFIG|MODEL_DIR");
  app.add_option("--text", check.text, "Perplexity of this text with and without the adapter")
      ->type_name("FILE")
      ->needs(base);
  add_json(app, check.common);
}

void add_options(CLI::App& app, AdapterMergeArguments& merge) {
  app.add_option("BASE", merge.common.target, "The model: configuration or folder")
      ->type_name("CONFIG|MODEL_DIR")
      ->required();
  app.add_option("--adapter", merge.adapters,
                 "An adapter's folder, with a scale of your own if you like; as often as needed")
      ->type_name("DIR[:SCALE]")
      ->allow_extra_args(false)
      ->required();
  add_out(app, merge.out);
  app.add_option("--dtype", merge.type,
                 "Type of the merged weights: f16, bf16, f32; default the base's")
      ->type_name("f16|bf16|f32");
  app.add_option("--base-as", merge.base_as,
                 "nf4: the base's linear layers as a QLoRA training saw them, rounded to 4 bits")
      ->type_name("nf4");
  add_json(app, merge.common);
}

void add_options(CLI::App& app, AdapterCombineArguments& combine) {
  app.add_option("DIR", combine.adapters, "Adapters' folders, each with a scale if you like")
      ->type_name("DIR[:SCALE]...")
      ->required();
  add_out(app, combine.out);
  add_json(app, combine.common);
}

}  // namespace ropewalk
