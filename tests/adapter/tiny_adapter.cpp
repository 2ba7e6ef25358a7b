#include "tests/adapter/tiny_adapter.h"

#include "core/checkpoint/weights/finite.h"
#include "core/model/families.h"

namespace ropewalk::test {

TinyTensor floats(std::vector<uint64_t> shape, const std::vector<float>& values) {
  return {"F32",
          std::move(shape),
          {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)}};
}

std::vector<float> golden_weight() {
  std::vector<float> values;
  for (int n = 0; n < 4; ++n)
    for (int k = 0; k < 6; ++k)
      values.push_back(static_cast<float>((13 * n + 7 * k + 3 * n * k) % 17 - 8) / 16);
  return values;
}

TinyModel golden_base() {
  TinyModel model = tiny_dense();
  model.tensors[kModule + ".weight"] = floats({4, 6}, golden_weight());
  return model;
}

TinyAdapter golden_adapter() {
  std::vector<float> a, b;
  for (int i = 0; i < 2; ++i)
    for (int k = 0; k < 6; ++k) a.push_back(static_cast<float>((5 * i + 3 * k) % 7 - 3) / 8);
  for (int n = 0; n < 4; ++n)
    for (int i = 0; i < 2; ++i) b.push_back(static_cast<float>((2 * n + 5 * i) % 5 - 2) / 4);
  return {Json{{"peft_type", "LORA"},
               {"base_model_name_or_path", "base"},
               {"r", 2},
               {"lora_alpha", 3},
               {"bias", "none"},
               {"init_lora_weights", true},
               {"target_modules", {"golden"}}},
          {{kModule + ".lora_A.weight", floats({2, 6}, a)},
           {kModule + ".lora_B.weight", floats({4, 2}, b)}}};
}

void write_adapter(const TinyAdapter& adapter, const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  if (!adapter.config.is_null())
    write_file(directory / "adapter_config.json", adapter.config.dump(1));
  std::map<std::string, TinyTensor> tensors;
  for (const auto& [name, tensor] : adapter.tensors) tensors["base_model.model." + name] = tensor;
  const TinyFile file = safetensors_parts(tensors);
  write_file(directory / "adapter_model.safetensors", safetensors_file(file.header, file.data));
  for (const auto& [name, bytes] : adapter.files) write_file(directory / name, bytes);
}

OpenPair::OpenPair(const TinyModel& model, const TinyAdapter& tiny) {
  std::filesystem::create_directories(folder.path() / "base");
  write_model(model, folder.path() / "base");
  write_adapter(tiny, folder.path() / "adapter");
  base = Checkpoint::open(folder.path() / "base", config_families());
  adapter = std::make_unique<Adapter>(folder.path() / "adapter");
}

std::vector<float> OpenPair::merged(const std::string& tensor,
                                    const MergeSettings& settings) const {
  const MergedCheckpoint result(*base, settings);
  const TensorInfo& info = result.get(tensor);
  std::vector<std::byte> bytes(info.bytes);
  result.read(info, bytes);
  return to_floats(info.type, bytes);
}

std::vector<float> OpenPair::merged(const std::string& tensor) const {
  return merged(tensor, {{{adapter.get(), 1}}, StoredType::f32});
}

}  // namespace ropewalk::test
