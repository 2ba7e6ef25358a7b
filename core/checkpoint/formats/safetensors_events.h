// safetensors_events.h — reads the JSON of a safetensors header as a stream, because a tree of it
// would need many times the memory of the header.
//
// Private to safetensors.cpp. Not thread-safe: one reader reads one header.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/checkpoint/formats/safetensors.h"
#include "core/json/json_events.h"

namespace ropewalk {

// Collects entries and checks each by itself: name, dtype, shape, and that the offsets agree with
// them. The caller checks for overlaps and holes.
class SafetensorsEvents final : public JsonEvents {
 public:
  explicit SafetensorsEvents(const JsonSource& source) : source_(source) {}

  std::vector<SafetensorsEntry> take() { return std::move(entries_); }

  void null() override;
  void boolean(bool) override { unexpected("true or false"); }
  void integer(int64_t value) override;
  void unsigned_integer(uint64_t value) override;
  void number(double value) override;
  void text(std::string value) override;
  void begin_object() override;
  void key(std::string name) override;
  void end_object() override;
  void begin_array() override;
  void end_array() override;

 private:
  enum class Place { outside, file, metadata, tensor, dtype, shape, offsets };

  [[noreturn]] void fail(std::string_view what) const;
  [[noreturn]] void unexpected(std::string_view found) const;
  void check_name() const;
  void check_foreign_type() const;
  void finish_tensor();

  const JsonSource& source_;
  std::vector<SafetensorsEntry> entries_;
  Place place_ = Place::outside;
  bool in_list_ = false;
  std::string name_;  // of the tensor, or the key within __metadata__
  size_t metadata_bytes_ = 0;
  std::optional<std::string> dtype_;
  std::optional<std::vector<uint64_t>> shape_, offsets_;
};

}  // namespace ropewalk
