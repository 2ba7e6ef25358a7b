#include <fmt/format.h>

#include "tests/checkpoint/bad_rows.h"

namespace ropewalk::test {
namespace {

constexpr char kNorm[] = "model.norm.weight";

// The file as it would be, with its parts changed before they are joined.
Write parts(std::function<void(TinyFile&)> change) {
  return spoil([change = std::move(change)](TinyModel& model) {
    TinyFile file = safetensors_parts(model.tensors);
    change(file);
    model.files["model.safetensors"] = safetensors_file(file.header, file.data);
  });
}

// The header as JSON.
Write header(std::function<void(Json&)> change) {
  return parts([change = std::move(change)](TinyFile& file) {
    Json json = Json::parse(file.header);
    change(json);
    file.header = json.dump();
  });
}

Write norm_with(std::string key, Json value) {
  return header(
      [key = std::move(key), value = std::move(value)](Json& json) { json[kNorm][key] = value; });
}

Write header_text(std::string text) {
  return parts([text = std::move(text)](TinyFile& file) { file.header = text; });
}

// A file whose first eight bytes are `size`, followed by the real header and data.
Write header_size(std::function<uint64_t(uint64_t)> size) {
  return spoil([size = std::move(size)](TinyModel& model) {
    const TinyFile file = safetensors_parts(model.tensors);
    model.files["model.safetensors"] =
        repeated(size(file.header.size()), 8, 1) + file.header + file.data;
  });
}

Write one_name(std::string name) {
  return header([name = std::move(name)](Json& json) {
    json[name] = {{"dtype", "F16"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
  });
}

std::string many_at_once(size_t count) {
  std::string text = "{";
  for (size_t i = 0; i < count; ++i)
    text += fmt::format(R"("t{}":{{"dtype":"U8","shape":[4],"data_offsets":[0,4]}},)", i);
  text.back() = '}';
  return text;
}

std::string file_regex(const std::string& rest) { return "model\\.safetensors: " + rest; }
std::string norm_regex(const std::string& rest) {
  return "model\\.safetensors: model\\.norm\\.weight: " + rest;
}

std::vector<BadModel> bad_frames() {
  const auto raw = [](std::string bytes) {
    return file_with("model.safetensors", std::move(bytes));
  };
  return {
      {"D01", "LfsPointer",
       file_regex("is a Git LFS pointer, expected the file itself. Run git lfs pull"),
       raw("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 7\n")},
      {"D01", "Gguf", file_regex("is a GGUF file, expected safetensors"), raw("GGUF\3 and more")},
      {"D01", "Empty", file_regex("has 0 bytes"), raw("")},
      {"D02", "SevenBytes", file_regex("has 7 bytes"), raw(std::string(7, '\1'))},
      {"D03", "EightBytes", file_regex("the header's length is 2, but the file ends 0 bytes after"),
       raw(repeated(2, 8, 1))},
      {"D04", "LengthZero", file_regex("the header's length is 0"),
       header_size([](uint64_t) { return 0; })},
      {"D05", "LengthAllOnes", file_regex("the header's length is 18446744073709551615"),
       header_size([](uint64_t) { return ~uint64_t{0}; })},
      {"D06", "LengthTopBit", file_regex("the header's length is 9223372036854775808"),
       header_size([](uint64_t) { return uint64_t{1} << 63; })},
      {"D07", "LengthAboveCap", file_regex("the header's length is 100000001, expected 1 to"),
       header_size([](uint64_t) { return 100'000'001; })},
      {"D08", "LengthBeyondFile",
       file_regex("the header's length is 1000000, .*expected size .*, have"),
       header_size([](uint64_t) { return 1'000'000; })},
      {"D09", "LengthOneLess", file_regex("the header ends with|not valid JSON"),
       header_size([](uint64_t size) { return size - 1; })},
      {"D09", "LengthOneMore", file_regex("the header ends with"),
       header_size([](uint64_t size) { return size + 1; })},
      {"D10", "NotUtf8", file_regex("not UTF-8 at line 1, column 2"),
       parts([](TinyFile& file) { file.header[1] = '\xff'; })},
      {"D11", "NotJson", file_regex("not valid JSON at line 1, column 3"),
       header_text("{tensors}")},
      {"D12", "Array", file_regex("the header begins with"), header_text("[]")},
      {"D12", "Scalar", file_regex("the header begins with"), header_text("7")},
      {"D13", "LeadingSpace", file_regex("the header begins with \" "),
       parts([](TinyFile& file) { file.header = " " + file.header; })},
      {"D14", "NulPadding", file_regex("the header ends with \"\\\\x00\""),
       parts([](TinyFile& file) { file.header += '\0'; })},
      {"D14", "TabPadding", file_regex("the header ends with \"\\\\x09\""),
       parts([](TinyFile& file) { file.header += '\t'; })},
      {"D15", "TrailingBytes", file_regex("has 4 bytes behind the last tensor: expected size"),
       parts([](TinyFile& file) { file.data += "PK\3\4"; })},
      {"D15", "Truncated", "lies outside of the file: expected .* bytes of data, have .*download",
       parts([](TinyFile& file) { file.data.pop_back(); })},
  };
}

std::vector<BadModel> bad_layouts() {
  return {
      {"D16", "Hole", "data_offsets begin at .*, expected .*: no tensor has the bytes between",
       header([](Json& json) { json.erase("model.layers.0.mlp.up_proj.scales"); })},
      {"D17", "Overlap", norm_regex("data_offsets .* overlap those of"), header([](Json& json) {
         const uint64_t begin = json[kNorm]["data_offsets"][0];
         json[kNorm]["data_offsets"] = {begin - 2, begin + 126};
       })},
      {"D18", "SameRange", "t1: data_offsets \\[0, 4\\] overlap those of t0",
       header_text(many_at_once(1000))},
      {"D18", "SameRangeManyTimes", "is one tensor too many, expected at most 200000",
       header_text(many_at_once(200'001))},
      {"D19", "EndBeforeBegin", norm_regex("data_offsets \\[128, 0\\] end before they begin"),
       norm_with("data_offsets", {128, 0})},
      {"D20", "EndOutside", "lies outside of the file|overlap|no tensor has the bytes",
       header([](Json& json) {
         const uint64_t begin = json[kNorm]["data_offsets"][0];
         json[kNorm]["shape"] = {1 << 20};
         json[kNorm]["data_offsets"] = {begin, begin + (2 << 20)};
       })},
      {"D21", "OffsetNegative", norm_regex("data_offsets holds -1"),
       norm_with("data_offsets", {-1, 127})},
      {"D21", "OffsetFloat", norm_regex("data_offsets holds 0.5"),
       norm_with("data_offsets", {0.5, 128})},
      {"D21", "OffsetWholeFloat", norm_regex("data_offsets holds 128"),
       norm_with("data_offsets", {0, 128.0})},
      {"D21", "OffsetText", norm_regex("data_offsets holds \"0\""),
       norm_with("data_offsets", {"0", 128})},
      {"D21", "OffsetsThree", norm_regex("data_offsets holds more than that"),
       norm_with("data_offsets", {0, 64, 128})},
      {"D21", "OffsetsOne", norm_regex("has no data_offsets"), norm_with("data_offsets", {0})},
      {"D21", "OffsetsNumber", norm_regex("data_offsets holds 0"), norm_with("data_offsets", 0)},
      {"D21", "OffsetsMissing", norm_regex("has no data_offsets"),
       header([](Json& json) { json[kNorm].erase("data_offsets"); })},
      {"D22", "ProductOverflow", norm_regex("shape .* has more bytes than 2\\^64"),
       norm_with("shape", {2, 9223372036854775807u})},
      {"D22", "ProductOverflowUnsigned", norm_regex("shape .* has more bytes than 2\\^64"),
       norm_with("shape", {2, 18446744073709551614u})},
      {"D22", "SizeAbove64Bits", norm_regex("shape holds 1.8"),
       norm_with("shape", {1.8446744073709552e19})},
      {"D23", "SizeNegative", norm_regex("shape holds -1"), norm_with("shape", {-1})},
      {"D24", "Rank64", norm_regex("shape holds more than that, expected .* at most 16 sizes"),
       norm_with("shape", Json(std::vector<int>(64, 1)))},
      {"D25", "ZeroSize", norm_regex("found shape \\[0\\], expected \\[64\\]"),
       spoil([](TinyModel& model) {
         model.tensors[kNorm] = {"F16", {0}, ""};
       })},
  };
}

std::vector<BadModel> bad_entries() {
  return {
      {"D26", "TypeLowerCase", norm_regex("dtype is \"f16\", expected F32"),
       norm_with("dtype", "f16")},
      {"D26", "TypeF8", norm_regex("is stored as F8_E4M3, .*Ropewalk reads GPTQ"),
       norm_with("dtype", "F8_E4M3")},
      {"D26", "TypeOfMlx", norm_regex("is stored as U32, .*Ropewalk reads GPTQ"),
       norm_with("dtype", "U32")},
      {"D01", "APageInItsPlace",
       file_regex("is a text that begins with \"<!DOCTYP\", expected safetensors"),
       spoil([](TinyModel& model) { model.files["model.safetensors"] = "<!DOCTYPE html><html>"; })},
      {"D26", "TypeNumber", norm_regex("dtype is 16, expected a text"), norm_with("dtype", 16)},
      {"D26", "TypeMissing", norm_regex("has no dtype"),
       header([](Json& json) { json[kNorm].erase("dtype"); })},
      {"D27", "SizeNotShape",
       norm_regex("data_offsets .* hold 128 bytes, expected 256 for shape \\[64\\] of F32"),
       norm_with("dtype", "F32")},
      {"D27", "ShapeMissing", norm_regex("has no shape"),
       header([](Json& json) { json[kNorm].erase("shape"); })},
      {"D27", "UnknownField", norm_regex("has an unknown field \"strides\""),
       norm_with("strides", {1})},
      {"D28", "DuplicateName", file_regex("duplicate key \"model\\.norm\\.weight\""),
       parts([](TinyFile& file) {
         const Json json = Json::parse(file.header);
         file.header.insert(1, fmt::format("\"{}\":{},", kNorm, json[kNorm].dump()));
       })},
      {"D28", "DuplicateNameOtherRange", file_regex("duplicate key \"model\\.norm\\.weight\""),
       parts([](TinyFile& file) {
         file.header.insert(
             1, fmt::format(R"("{}":{{"dtype":"F16","shape":[1],"data_offsets":[0,2]}},)", kNorm));
       })},
      {"D28", "DuplicateField", file_regex("duplicate key \"dtype\""), parts([](TinyFile& file) {
         file.header.insert(file.header.find("{\"dtype\"") + 1, R"("dtype":"F32",)");
       })},
      {"D29", "MetadataNumber", file_regex("format: __metadata__ holds 1, expected texts"),
       header([](Json& json) {
         json["__metadata__"] = {{"format", 1}};
       })},
      {"D29", "MetadataNested", "__metadata__ holds an object",
       header([](Json& json) { json["__metadata__"]["more"] = Json::object(); })},
      {"D29", "MetadataText", "__metadata__: found \"pt\", expected an object",
       header([](Json& json) { json["__metadata__"] = "pt"; })},
      {"D29", "MetadataLarge", "__metadata__ is larger than 16777216 bytes",
       header([](Json& json) { json["__metadata__"]["note"] = std::string(17 << 20, 'x'); })},
      {"D30", "NameEmpty", file_regex("holds a tensor named \"\" \\(0 bytes\\)"), one_name("")},
      {"D30", "NameLong",
       file_regex("holds a tensor named \"x{120}\\.\\.\\.\" \\(1048576 bytes\\)"),
       one_name(std::string(1 << 20, 'x'))},
      {"D30", "NameNul", file_regex("holds a tensor named \"a\\\\x00b\""),
       one_name(std::string("a\0b", 3))},
      {"D30", "NameEscape", file_regex("holds a tensor named \"\\\\x1b\\[31m\""),
       one_name("\x1b[31m")},
      {"D30", "NameRightToLeft", file_regex("holds a tensor named"),
       one_name("a\xe2\x80\xae"
                "b")},
      {"D30", "NamePath", file_regex("holds a tensor named \"\\.\\./x\""), one_name("../x")},
      {"D31", "TensorIsAList", norm_regex("found a list, expected an object"),
       header([](Json& json) { json[kNorm] = Json::array(); })},
      {"D31", "TensorIsNull", norm_regex("found null, expected an object"),
       header([](Json& json) { json[kNorm] = nullptr; })},
  };
}

}  // namespace

std::vector<BadModel> bad_safetensors() {
  std::vector<BadModel> rows = bad_frames();
  for (const auto& more : {bad_layouts(), bad_entries()})
    rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

}  // namespace ropewalk::test
