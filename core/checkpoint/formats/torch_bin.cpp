#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "core/base/checked.h"
#include "core/checkpoint/formats/pickle.h"
#include "core/checkpoint/formats/tensor_file.h"
#include "core/checkpoint/formats/zip.h"
#include "core/checkpoint/refuse.h"

namespace ropewalk {
namespace {

constexpr uint64_t kMaxPickleBytes = 16 << 20;
constexpr std::string_view kPickle = "/data.pkl";

// torch before 1.6 wrote a bare pickle, and before 0.1.10 a tar.
void refuse_legacy(const File& file) {
  std::byte magic[4] = {};
  file.read(0, std::span(magic).first(std::min<uint64_t>(file.size(), sizeof magic)));
  if (std::memcmp(magic, "PK\x03\x04", 4) == 0) return;
  if (file.size() < 4)
    refuse(file.path(), fmt::format("has {} bytes", file.size()), kDownloadAgain);
  refuse(file.path(),
         std::to_integer<int>(magic[0]) == 0x80
             ? "is in PyTorch's format of before 1.6, expected a zip file"
             : "is no PyTorch file, expected a zip file",
         "Take the safetensors files of this model, or save it again with a newer PyTorch");
}

bool contiguous(const PickledTensor& tensor) {
  uint64_t expected = 1;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.stride[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

// Row-major copy of a view's elements from index `first` on. `from` starts at the view's element 0.
void gather_view(const PickledTensor& tensor, const std::byte* from, uint64_t first,
                 std::span<std::byte> out) {
  const uint64_t size = stored_size(tensor.type);
  std::vector<uint64_t> index(tensor.shape.size(), 0);
  uint64_t source = 0;
  for (size_t i = index.size(); i-- > 0; first /= tensor.shape[i]) {
    index[i] = first % tensor.shape[i];
    source += index[i] * tensor.stride[i];
  }
  for (uint64_t at = 0; at < out.size(); at += size) {
    std::memcpy(out.data() + at, from + source * size, size);
    // Next index: the last axis varies fastest.
    for (size_t i = index.size(); i-- > 0;) {
      source += tensor.stride[i];
      if (++index[i] < tensor.shape[i]) break;
      source -= tensor.stride[i] * tensor.shape[i];
      index[i] = 0;
    }
  }
}

class TorchBinFile final : public TensorFile {
 public:
  explicit TorchBinFile(File file) : file_(std::move(file)) {
    refuse_legacy(file_);
    for (ZipEntry& entry : read_zip_directory(file_)) {
      std::string name = entry.name;
      entries_.emplace(std::move(name), std::move(entry));
    }
    const ZipEntry& pickle = find_pickle();
    const std::string stem = pickle.name.substr(0, pickle.name.size() - kPickle.size());
    check_byte_order(stem);
    std::vector<std::byte> bytes(pickle.size);
    file_.read(pickle.offset, bytes);
    views_ = read_state_dict(bytes, file_.path());
    for (const PickledTensor& view : views_) add(view, stem);
  }

  const File& file() const override { return file_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }

  void read_from(size_t index, uint64_t offset, std::span<std::byte> out) const override {
    const PickledTensor& view = views_[index];
    if (out.empty()) return;
    const uint64_t size = stored_size(view.type);
    const uint64_t begin = storages_[index] + view.offset * size;
    if (contiguous(view)) return file_.read(begin + offset, out);
    uint64_t last = 0;
    for (size_t i = 0; i < view.shape.size(); ++i) last += (view.shape[i] - 1) * view.stride[i];
    std::vector<std::byte> span((last + 1) * size);
    file_.read(begin, span);
    gather_view(view, span.data(), offset / size, out);
  }

 private:
  const ZipEntry& find_pickle() const {
    const ZipEntry* found = nullptr;
    for (const auto& [name, entry] : entries_)
      if (name.ends_with(kPickle) && name.find('/') == name.size() - kPickle.size()) {
        if (found) refuse(file_.path(), "holds two data.pkl, expected one", kDownloadAgain);
        found = &entry;
      }
    if (!found) refuse(file_.path(), "holds no data.pkl, expected a saved model", kDownloadAgain);
    if (found->size > kMaxPickleBytes)
      refuse(
          file_.path(),
          fmt::format("data.pkl has {} bytes, expected at most {}", found->size, kMaxPickleBytes),
          kDownloadAgain);
    return *found;
  }

  void check_byte_order(const std::string& stem) const {
    const auto found = entries_.find(stem + "/byteorder");
    if (found == entries_.end()) return;
    std::string order(std::min<uint64_t>(found->second.size, 16), '\0');
    file_.read(found->second.offset, std::as_writable_bytes(std::span(order)));
    if (order != "little")
      refuse(file_.path(),
             fmt::format("byteorder is \"{}\", expected \"little\"", printable(order)),
             "Save it again on a little-endian machine");
  }

  void add(const PickledTensor& view, const std::string& stem) {
    const std::string place = fmt::format("{}: {}", file_.path(), view.name);
    const auto found = entries_.find(stem + "/data/" + view.storage);
    if (found == entries_.end())
      refuse(place, fmt::format("its storage {} is not in the file", printable(view.storage)),
             kDownloadAgain);
    const auto expected = checked_mul(view.elements, stored_size(view.type));
    if (found->second.size != expected)
      refuse(place,
             fmt::format("its storage {} has {} bytes, expected {} elements of {}",
                         printable(view.storage), found->second.size, view.elements,
                         stored_name(view.type)),
             kDownloadAgain);
    storages_.push_back(found->second.offset);
    tensors_.push_back(
        {view.name, view.type, view.shape, *tensor_bytes(view.type, view.shape), std::string()});
  }

  File file_;
  std::map<std::string, ZipEntry> entries_;
  std::vector<PickledTensor> views_;
  std::vector<uint64_t> storages_;  // offset in the file of each view's storage
  std::vector<TensorInfo> tensors_;
};

}  // namespace

std::unique_ptr<TensorFile> open_torch_bin(File file) {
  return std::make_unique<TorchBinFile>(std::move(file));
}

}  // namespace ropewalk
