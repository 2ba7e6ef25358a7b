#include "tests/checkpoint/sharded_model.h"

namespace ropewalk::test {

std::string shard_file(const std::map<std::string, TinyTensor>& tensors) {
  const TinyFile parts = safetensors_parts(tensors);
  return safetensors_file(parts.header, parts.data);
}

Write sharded(std::function<void(Sharded&)> change) {
  return [change = std::move(change)](const std::filesystem::path& directory) {
    Sharded it;
    it.model = tiny_model();
    uint64_t total = 0;
    it.index["weight_map"] = Json::object();
    for (const auto& [name, tensor] : it.model.tensors) {
      const bool early = name < "model.layers.0.mlp.up";
      (early ? it.first : it.second)[name] = tensor;
      it.index["weight_map"][name] =
          early ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
      total += tensor.bytes.size();
    }
    it.index["metadata"] = {{"total_size", total}};
    it.model.tensors.clear();
    change(it);
    if (!it.first.empty())
      it.model.files["model-00001-of-00002.safetensors"] = shard_file(it.first);
    if (!it.second.empty())
      it.model.files["model-00002-of-00002.safetensors"] = shard_file(it.second);
    if (!it.index.is_null()) it.model.files["model.safetensors.index.json"] = it.index.dump();
    write_model(it.model, directory);
  };
}

}  // namespace ropewalk::test
