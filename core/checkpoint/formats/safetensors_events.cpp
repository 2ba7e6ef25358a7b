#include "core/checkpoint/formats/safetensors_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/checkpoint/formats/tensor_file.h"
#include "core/checkpoint/refuse.h"

namespace ropewalk {
namespace {

constexpr size_t kMaxMetadataBytes = 16 << 20;

}  // namespace

void SafetensorsEvents::fail(std::string_view what) const {
  const std::string where =
      name_.empty() ? source_.file : fmt::format("{}: {}", source_.file, printable(name_));
  throw Error(source_.code, where, what, kDownloadAgain);
}

void SafetensorsEvents::unexpected(std::string_view found) const {
  switch (place_) {
    case Place::outside:
      fail(fmt::format("the header is {}, expected an object", found));
    case Place::file:
      fail(fmt::format("found {}, expected an object that describes a tensor", found));
    case Place::metadata:
      fail(fmt::format("__metadata__ holds {}, expected texts", found));
    case Place::tensor:
      fail(fmt::format("holds {} where a field was expected", found));
    case Place::dtype:
      fail(fmt::format("dtype is {}, expected a text", found));
    case Place::shape:
      fail(fmt::format("shape holds {}, expected a list of at most {} sizes", found, kMaxRank));
    case Place::offsets:
      fail(fmt::format("data_offsets holds {}, expected [begin, end]", found));
  }
  fail("is not described");
}

// Some writers put null where there is no metadata.
void SafetensorsEvents::null() {
  if (place_ != Place::file || name_ != "__metadata__") unexpected("null");
  name_.clear();
}

void SafetensorsEvents::integer(int64_t value) { unexpected(std::to_string(value)); }

void SafetensorsEvents::number(double value) { unexpected(fmt::format("{}", value)); }

void SafetensorsEvents::unsigned_integer(uint64_t value) {
  if (!in_list_) unexpected(std::to_string(value));
  std::vector<uint64_t>& list = place_ == Place::shape ? *shape_ : *offsets_;
  if (list.size() == (place_ == Place::shape ? kMaxRank : 2)) unexpected("more than that");
  list.push_back(value);
}

void SafetensorsEvents::text(std::string value) {
  if (place_ == Place::metadata) {
    metadata_bytes_ += name_.size() + value.size();
    name_.clear();
    if (metadata_bytes_ > kMaxMetadataBytes)
      fail(fmt::format("__metadata__ is larger than {} bytes", kMaxMetadataBytes));
  } else if (place_ == Place::dtype) {
    dtype_ = std::move(value);
    place_ = Place::tensor;
  } else {
    unexpected(fmt::format("\"{}\"", printable(value)));
  }
}

void SafetensorsEvents::begin_object() {
  if (place_ == Place::outside) {
    place_ = Place::file;
  } else if (place_ == Place::file) {
    place_ = name_ == "__metadata__" ? Place::metadata : Place::tensor;
    if (place_ == Place::metadata) name_.clear();
  } else {
    unexpected("an object");
  }
}

void SafetensorsEvents::key(std::string name) {
  if (place_ == Place::tensor) {
    if (name == "dtype") {
      place_ = Place::dtype;
    } else if (name == "shape") {
      place_ = Place::shape;
    } else if (name == "data_offsets") {
      place_ = Place::offsets;
    } else {
      fail(fmt::format("has an unknown field \"{}\"", printable(name)));
    }
    return;
  }
  name_ = std::move(name);
  if (place_ == Place::file) check_name();
}

void SafetensorsEvents::end_object() {
  if (place_ == Place::tensor) finish_tensor();
  place_ = place_ == Place::file ? Place::outside : Place::file;
  name_.clear();
}

void SafetensorsEvents::begin_array() {
  const bool expected = place_ == Place::shape || place_ == Place::offsets;
  if (!expected || in_list_) unexpected("a list");
  in_list_ = true;
  (place_ == Place::shape ? shape_ : offsets_).emplace();
}

void SafetensorsEvents::end_array() {
  in_list_ = false;
  place_ = Place::tensor;
}

void SafetensorsEvents::check_name() const {
  if (!is_tensor_name(name_))
    throw Error(
        source_.code, source_.file,
        fmt::format("holds a tensor named \"{}\" ({} bytes), expected 1 to {} printable ASCII "
                    "characters without slashes",
                    printable(name_), name_.size(), kMaxTensorName),
        kDownloadAgain);
}

// Types of the format that no checkpoint of ours has: MLX's words, FP8, FP4.
void SafetensorsEvents::check_foreign_type() const {
  constexpr std::string_view kForeignTypes[] = {"U16",         "U32",     "U64",     "C64",
                                                "F8_E4M3",     "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ",
                                                "F8_E5M2FNUZ", "F6_E2M3", "F6_E3M2", "F4"};
  if (std::ranges::find(kForeignTypes, *dtype_) == std::end(kForeignTypes)) return;
  throw Error(
      source_.code, fmt::format("{}: {}", source_.file, printable(name_)),
      fmt::format("is stored as {}, which GPTQ and unquantised checkpoints do not have", *dtype_),
      kFormatAdvice);
}

void SafetensorsEvents::finish_tensor() {
  if (!dtype_) fail("has no dtype");
  const std::optional<StoredType> type = stored_type(*dtype_);
  if (!type) check_foreign_type();
  if (!type)
    fail(fmt::format("dtype is \"{}\", expected F32, F16, BF16, F64, I64, I32, I16, I8, U8 or BOOL",
                     printable(*dtype_)));
  if (!shape_) fail("has no shape");
  const std::optional<uint64_t> bytes = tensor_bytes(*type, *shape_);
  if (!bytes) fail(fmt::format("shape [{}] has more bytes than 2^64", fmt::join(*shape_, ", ")));
  if (!offsets_ || offsets_->size() != 2) fail("has no data_offsets, expected [begin, end]");
  const uint64_t begin = offsets_->front(), end = offsets_->back();
  if (end < begin) fail(fmt::format("data_offsets [{}, {}] end before they begin", begin, end));
  if (end - begin != *bytes)
    fail(fmt::format("data_offsets [{}, {}] hold {} bytes, expected {} for shape [{}] of {}", begin,
                     end, end - begin, *bytes, fmt::join(*shape_, ", "), *dtype_));
  if (entries_.size() == kMaxTensors)
    fail(fmt::format("is one tensor too many, expected at most {}", kMaxTensors));
  entries_.push_back({std::move(name_), *type, std::move(*shape_), begin, end});
  dtype_.reset();
  shape_.reset();
  offsets_.reset();
}

}  // namespace ropewalk
