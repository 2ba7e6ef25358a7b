// activations.h — what all texts have at a cut of the model, in a file or in the device's memory.
//
//   | value 0 of all tokens | value 1 of all tokens |   (tokens, width) each
//
// Not thread-safe. Throws Error: output, and what the device says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/checkpoint/formats/output_folder.h"
#include "core/checkpoint/formats/tensor_info.h"
#include "core/layerwise/graph_cut.h"
#include "core/layerwise/layer_device.h"

namespace ropewalk {

// Rows of a value in the host's memory, or, where that has none, in the device's.
struct ValueRows {
  std::vector<std::byte> host = {};
  abi::Slice device = {};
};

class Activations {
 public:
  virtual ~Activations() = default;
  Activations(const Activations&) = delete;
  Activations& operator=(const Activations&) = delete;

  // What is held from here on.
  void hold(std::vector<LiveValue> values) { values_ = std::move(values); }
  const std::vector<LiveValue>& values() const { return values_; }
  size_t index_of(const std::string& name) const;  // REQUIRES: it is there
  StoredType type() const { return type_; }

  // Whole rows, of `tokens` tokens from `token` on. room() is where rows may be put that write()
  // is then given; write() takes others, too.
  virtual ValueRows read(size_t value, uint64_t token, uint64_t tokens) const = 0;
  virtual ValueRows room(size_t value, uint64_t token, uint64_t tokens) const = 0;
  virtual void write(size_t value, uint64_t token, const ValueRows& rows) = 0;

  // Whether another run finds what is here.
  virtual bool outlasts() const = 0;
  // Puts what was written where it stays. Returns a checksum of the values; empty: it does not
  // outlast the run.
  virtual std::string settle() const = 0;
  virtual std::string checksum() const = 0;

 protected:
  Activations(uint64_t tokens, StoredType type) : tokens_(tokens), type_(type) {}
  uint64_t row_bytes(size_t value) const { return values_[value].width * stored_size(type_); }
  uint64_t offset_of(size_t value, uint64_t token) const;
  uint64_t end() const { return values_.empty() ? 0 : offset_of(values_.size() - 1, tokens_); }

 private:
  uint64_t tokens_;
  StoredType type_;
  std::vector<LiveValue> values_;
};

// Of a value of every token, so many bytes for the widest cut.
uint64_t activation_bytes(uint64_t tokens, StoredType type, uint64_t max_width);

class ActivationFile final : public Activations {
 public:
  // Takes the room for the widest cut at once; what an earlier run wrote stays.
  ActivationFile(const std::filesystem::path& file, uint64_t tokens, StoredType type,
                 uint64_t max_width);

  ValueRows read(size_t value, uint64_t token, uint64_t tokens) const override;
  ValueRows room(size_t value, uint64_t token, uint64_t tokens) const override;
  void write(size_t value, uint64_t token, const ValueRows& rows) override;
  bool outlasts() const override { return true; }
  std::string settle() const override;
  std::string checksum() const override;

 private:
  OutputFile file_;
};

// REQUIRES: a device with a solver, which copies.
class ActivationMemory final : public Activations {
 public:
  ActivationMemory(const LayerDevice& on, uint64_t tokens, StoredType type, uint64_t max_width);
  ~ActivationMemory() override;

  ValueRows read(size_t value, uint64_t token, uint64_t tokens) const override;
  ValueRows room(size_t value, uint64_t token, uint64_t tokens) const override;
  void write(size_t value, uint64_t token, const ValueRows& rows) override;
  bool outlasts() const override { return false; }
  std::string settle() const override { return ""; }
  std::string checksum() const override { return ""; }

 private:
  const LayerDevice& on_;
  abi::Buffer buffer_;
};

// Copies rows from one place of the device's memory to another. Returns the place of the first
// value that is not finite, or UINT32_MAX.
uint32_t copy_on(const LayerDevice& on, const abi::Slice& to, const abi::Slice& from,
                 abi::DType type);

}  // namespace ropewalk
