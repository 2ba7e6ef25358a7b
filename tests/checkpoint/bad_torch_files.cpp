#include <ostream>

#include "tests/checkpoint/bad_rows.h"
#include "tests/checkpoint/tiny_torch.h"

namespace ropewalk::test {
namespace {

Write torch_file(std::string bytes) {
  return spoil([bytes = std::move(bytes)](TinyModel& model) {
    model.tensors.clear();
    model.files["pytorch_model.bin"] = bytes;
  });
}

Write torch_changed(std::function<void(std::string&)> change) {
  return [change = std::move(change)](const std::filesystem::path& directory) {
    TinyModel model = with_torch_file(tiny_dense());
    change(model.files["pytorch_model.bin"]);
    write_model(model, directory);
  };
}

const std::string kStorage(16, '\1');

std::vector<ZipItem> items(std::string pickle) {
  return {{"archive/data.pkl", std::move(pickle)}, {"archive/data/0", kStorage}};
}

Write pickled(std::string pickle) { return torch_file(zip_file(items(std::move(pickle)), 0)); }

// One tensor of 8 halves.
PickleTensor sound() { return {"model.norm.weight", "HalfStorage", "0", 8, 0, {8}, {1}}; }

Write only_tensor(std::function<void(PickleTensor&)> change) {
  PickleTensor it = sound();
  change(it);
  return pickled(pickle_state_dict({it}));
}

Write zipped(std::function<void(std::vector<ZipItem>&)> change) {
  std::vector<ZipItem> all = items(pickle_state_dict({sound()}));
  change(all);
  return torch_file(zip_file(all, 0));
}

std::string pickle_regex(const std::string& rest) {
  return "pytorch_model\\.bin: data\\.pkl: " + rest;
}
std::string zip_regex(const std::string& rest) {
  return "pytorch_model\\.bin: is no whole zip file: " + rest;
}

std::vector<BadModel> bad_archives() {
  const std::vector<ZipItem> whole = items(pickle_state_dict({sound()}));
  return {
      {"P01", "Empty", "pytorch_model\\.bin: has 0 bytes", torch_file("")},
      {"P01", "Legacy", "pytorch_model\\.bin: is in PyTorch's format of before 1\\.6",
       torch_file("\x80\x02\x8a\x0a" + std::string(100, 'x'))},
      {"P01", "Tar", "pytorch_model\\.bin: is no PyTorch file", torch_file(std::string(1000, 't'))},
      {"P02", "Truncated", zip_regex("it does not end as one.*download"),
       torch_changed([](std::string& bytes) { bytes.resize(bytes.size() - 30); })},
      {"P02", "TrailingBytes", zip_regex("it does not end as one"),
       torch_changed([](std::string& bytes) { bytes += "more"; })},
      {"P02", "BytesInFront", "pytorch_model\\.bin: is no (whole zip|PyTorch) file",
       torch_changed([](std::string& bytes) {
         bytes =
             "\x7f"
             "ELF" +
             bytes;
       })},
      {"P02", "BytesBetween", zip_regex("its directory of .* does not end at"),
       torch_changed([](std::string& bytes) { bytes.insert(bytes.size() - 22, "more"); })},
      {"P03", "Compressed", zip_regex("archive/data/0 is compressed or encrypted"),
       zipped([](std::vector<ZipItem>& it) { it[1].method = 8; })},
      {"P03", "Encrypted", zip_regex("archive/data/0 is compressed or encrypted"),
       zipped([](std::vector<ZipItem>& it) { it[1].flags = 1; })},
      {"P03", "Twice", zip_regex("it has two entries archive/data/0"),
       zipped([](std::vector<ZipItem>& it) { it.push_back(it[1]); })},
      {"P03", "EntriesOverlap", zip_regex("archive/data/0 overlaps another entry"),
       torch_file(zip_file(whole, static_cast<uint32_t>(whole[0].bytes.size()) + 50))},
      {"P03", "EntryOutside", zip_regex("archive/data\\.pkl lies outside of it"),
       torch_file(zip_file(whole, 1 << 30))},
      {"P04", "NoPickle", "pytorch_model\\.bin: holds no data\\.pkl",
       zipped([](std::vector<ZipItem>& it) { it[0].name = "archive/other"; })},
      {"P04", "TwoPickles", "pytorch_model\\.bin: holds two data\\.pkl",
       zipped([](std::vector<ZipItem>& it) {
         it.push_back({"b/data.pkl", it[0].bytes});
       })},
      {"P04", "BigEndian", "pytorch_model\\.bin: byteorder is \"big\"",
       zipped([](std::vector<ZipItem>& it) {
         it.push_back({"archive/byteorder", "big"});
       })},
      {"P04", "NoStorage", "model\\.norm\\.weight: its storage 0 is not in the file",
       zipped([](std::vector<ZipItem>& it) { it.pop_back(); })},
      {"P04", "StorageShort", "its storage 0 has 15 bytes, expected 8 elements of F16",
       zipped([](std::vector<ZipItem>& it) { it[1].bytes.pop_back(); })},
  };
}

std::vector<BadModel> bad_pickles() {
  const std::string system = pickle_global("posix", "system");
  return {
      {"P05", "RunsACommand", pickle_regex("asks for \"posix\\.system\".*safetensors"),
       pickled("\x80\x02" + system + "(" + pickle_text("touch /tmp/x") + "tR.")},
      {"P05", "StackGlobal", pickle_regex("asks for \"builtins\\.eval\""),
       pickled("\x80\x04" + pickle_text("builtins") + pickle_text("eval") + "\x93.")},
      {"P05", "UntypedStorage", pickle_regex("asks for \"torch\\.storage\\.UntypedStorage\""),
       pickled("\x80\x02" + pickle_global("torch.storage", "UntypedStorage") + ".")},
      {"P05", "Instance", pickle_regex("instruction 0x81, which no state dict needs"),
       pickled("\x80\x02)\x81.")},
      {"P05", "Extension", pickle_regex("instruction 0x82"), pickled("\x80\x02\x82\x01.")},
      {"P06", "NoStop", pickle_regex("1 more bytes expected, none left"), pickled("\x80\x02}")},
      {"P06", "TextCut", pickle_regex("100 more bytes expected"),
       pickled("\x80\x02X" + repeated(100, 4, 1) + "abc")},
      {"P06", "StackEmpty", pickle_regex("a value expected, none left"), pickled("\x80\x02R.")},
      {"P06", "NoMark", pickle_regex("a mark expected, none left"), pickled("\x80\x02t.")},
      {"P06", "NoMemo", pickle_regex("memo 7 was never stored"), pickled("\x80\x02h\x07.")},
      {"P06", "OddItems", pickle_regex("a key without a value"),
       pickled("\x80\x02}(" + pickle_text("a") + "u.")},
      {"P06", "Protocol0", pickle_regex("protocol 0, expected 2 to 5"),
       pickled(std::string("\x80\0.", 3))},
      {"P06", "ManyMarks", pickle_regex("more than 100 open marks"),
       pickled("\x80\x02" + std::string(101, '('))},
      {"P06", "ManyValues", pickle_regex("more than 1500000 values"),
       pickled("\x80\x02" + std::string(2'000'000, 'N'))},
      {"P06", "WrongCall",
       pickle_regex("torch\\._utils\\._rebuild_tensor_v2 called with 0 arguments"),
       pickled("\x80\x02" + pickle_global("torch._utils", "_rebuild_tensor_v2") + ")R.")},
      {"P07", "NotADictionary", pickle_regex("found a list, expected a dictionary"),
       pickled("\x80\x02].")},
      {"P07", "NotATensor", pickle_regex("\"epoch\" is no tensor"),
       pickled("\x80\x02}(" + pickle_text("epoch") + "K\x03u.")},
      {"P07", "Nested", pickle_regex("\"state_dict\" is no tensor"),
       pickled("\x80\x02}(" + pickle_text("state_dict") + "}u.")},
      {"P07", "TensorName", pickle_regex("a tensor named \"\\.\\./x\""),
       only_tensor([](PickleTensor& it) { it.name = "../x"; })},
  };
}

std::vector<BadModel> bad_views() {
  const std::string beyond = "model\\.norm\\.weight of shape .* reaches beyond its storage of 8";
  return {
      {"P08", "ShapeBeyond", pickle_regex(beyond),
       only_tensor([](PickleTensor& it) { it.shape = {9}; })},
      {"P08", "OffsetBeyond", pickle_regex(beyond),
       only_tensor([](PickleTensor& it) { it.offset = 1; })},
      {"P08", "StrideBeyond", pickle_regex(beyond),
       only_tensor([](PickleTensor& it) { it.stride = {2}; })},
      {"P08", "StrideOverflow", pickle_regex(beyond), only_tensor([](PickleTensor& it) {
         it.shape = {int64_t{1} << 40};
         it.stride = {int64_t{1} << 40};
       })},
      {"P08", "ShapeOverflow", pickle_regex(beyond), only_tensor([](PickleTensor& it) {
         it.shape = {int64_t{1} << 40, int64_t{1} << 40};
         it.stride = {0, 0};
       })},
      {"P08", "Negative",
       pickle_regex("model\\.norm\\.weight has a negative size, stride or offset"),
       only_tensor([](PickleTensor& it) { it.stride = {-1}; })},
      {"P08", "NegativeElements", pickle_regex("model\\.norm\\.weight has a negative size"),
       only_tensor([](PickleTensor& it) { it.elements = -8; })},
      {"P08", "RankDiffers", pickle_regex("model\\.norm\\.weight has 1 sizes and 2 strides"),
       only_tensor([](PickleTensor& it) {
         it.stride = {1, 1};
       })},
      {"P08", "Rank17", pickle_regex("model\\.norm\\.weight has rank 17, expected at most 16"),
       only_tensor([](PickleTensor& it) { it.shape.assign(17, 1); })},
  };
}

}  // namespace

std::vector<BadModel> bad_torch_files() {
  std::vector<BadModel> rows = bad_archives();
  for (const auto& more : {bad_pickles(), bad_views()})
    rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

void PrintTo(const BadModel& row, std::ostream* out) { *out << row.id << " " << row.what; }

std::vector<BadModel> all_bad_models() {
  std::vector<BadModel> rows;
  for (const auto& table : {bad_configs(), bad_quant_configs(), bad_safetensors(), bad_tensors(),
                            bad_files(), bad_torch_files()})
    rows.insert(rows.end(), table.begin(), table.end());
  return rows;
}

}  // namespace ropewalk::test
