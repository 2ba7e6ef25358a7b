#include "tests/checkpoint/tiny_torch.h"

#include <map>

namespace ropewalk::test {
namespace {

std::string u16(uint64_t value) { return repeated(value, 2, 1); }
std::string u32(uint64_t value) { return repeated(value, 4, 1); }

// Version, flags, method, time, date, CRC, stored size, size: the same in both headers.
std::string common(const ZipItem& item, uint32_t size) {
  return u16(20) + u16(item.flags) + u16(item.method) + u16(0) + u16(0) + u32(0) + u32(size) +
         u32(size);
}

std::string pickle_tuple(const std::vector<int64_t>& values) {
  std::string text = "(";
  for (const int64_t value : values) text += pickle_integer(value);
  return text + "t";
}

}  // namespace

std::string zip_file(const std::vector<ZipItem>& items, uint32_t size_claim) {
  std::string file, directory;
  for (const ZipItem& item : items) {
    const bool lie = size_claim != 0 && &item == &items.front();
    const auto size = lie ? size_claim : static_cast<uint32_t>(item.bytes.size());
    const std::string fields = common(item, size) + u16(item.name.size()) + u16(0);
    directory += "PK\1\2" + u16(20) + fields + u16(0) + u16(0) + u16(0) + u32(0) +
                 u32(file.size()) + item.name;
    file += "PK\3\4" + fields + item.name + item.bytes;
  }
  const std::string end = "PK\5\6" + u16(0) + u16(0) + u16(items.size()) + u16(items.size()) +
                          u32(directory.size()) + u32(file.size()) + u16(0);
  return file + directory + end;
}

std::string pickle_text(std::string_view text) {
  return "X" + u32(text.size()) + std::string(text);
}

std::string pickle_integer(int64_t value) {
  return "\x8a\x08" + repeated(static_cast<uint64_t>(value), 8, 1);
}

std::string pickle_global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}

std::string pickle_tensor(const PickleTensor& tensor) {
  const std::string storage =
      "(" + pickle_text("storage") + pickle_global("torch", tensor.storage_type) +
      pickle_text(tensor.key) + pickle_text("cpu") + pickle_integer(tensor.elements) + "tQ";
  return pickle_text(tensor.name) + pickle_global("torch._utils", "_rebuild_tensor_v2") + "(" +
         storage + pickle_integer(tensor.offset) + pickle_tuple(tensor.shape) +
         pickle_tuple(tensor.stride) + "\x89" + pickle_global("collections", "OrderedDict") + ")R" +
         "tR";
}

std::string pickle_state_dict(const std::vector<PickleTensor>& tensors) {
  std::string text = "\x80\x02}(";
  for (const PickleTensor& tensor : tensors) text += pickle_tensor(tensor);
  return text + "u.";
}

TinyModel with_torch_file(TinyModel model) {
  const std::map<std::string, std::pair<std::string, int64_t>> types{
      {"F16", {"HalfStorage", 2}}, {"F32", {"FloatStorage", 4}}, {"I32", {"IntStorage", 4}}};
  std::vector<PickleTensor> tensors;
  std::vector<ZipItem> items{{"archive/data.pkl", ""}};
  for (const auto& [name, tensor] : model.tensors) {
    const auto& [storage, size] = types.at(tensor.dtype);
    const std::string key = std::to_string(tensors.size());
    std::vector<int64_t> shape(tensor.shape.begin(), tensor.shape.end()), stride(shape.size());
    int64_t step = 1;
    for (size_t i = shape.size(); i-- > 0; step *= shape[i]) stride[i] = step;
    items.push_back({"archive/data/" + key, tensor.bytes});
    tensors.push_back(
        {name, storage, key, static_cast<int64_t>(tensor.bytes.size()) / size, 0, shape, stride});
  }
  items.front().bytes = pickle_state_dict(tensors);
  items.push_back({"archive/version", "3\n"});
  model.files["pytorch_model.bin"] = zip_file(items, 0);
  model.tensors.clear();
  return model;
}

}  // namespace ropewalk::test
