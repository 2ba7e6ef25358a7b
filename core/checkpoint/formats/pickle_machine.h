// pickle_machine.h — runs the few pickle instructions that a state dict needs, and knows few names.
//
// Private to pickle.cpp. One machine runs one pickle; texts are views into it. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint/formats/tensor_info.h"

namespace ropewalk {

// The meaning of a name in the pickle. Other names are refused, and none is ever looked up.
enum class PickleName : uint8_t { ordered_dict, rebuild_tensor, rebuild_parameter, storage };

struct PickleGlobal {
  std::string_view name;
  PickleName what;
  StoredType type;  // of a storage
};

enum class PickleKind : uint8_t {
  none,
  boolean,
  integer,
  text,
  tuple,
  list,
  dict,
  global,
  storage,
  tensor
};

// Values live in one arena and refer to each other by index, so that neither sharing nor cycles
// cost anything.
using PickleRef = uint32_t;

struct PickleValue {
  PickleKind kind = PickleKind::none;
  int64_t integer = 0;  // integer, boolean
  const PickleGlobal* global = nullptr;
  std::string_view text;         // within the pickle
  std::vector<PickleRef> items;  // tuple, list; dict: key, value, key, ...; storage: type, key,
                                 // elements; tensor: storage, offset, shape, stride
};

class PickleMachine {
 public:
  // REQUIRES: both outlive the machine.
  PickleMachine(std::string_view pickle, const std::string& file) : pickle_(pickle), file_(file) {}

  PickleRef run();  // the one value that is left
  const PickleValue& value(PickleRef ref) const { return arena_[ref]; }
  const PickleValue& expect(PickleRef ref, PickleKind kind) const;
  [[noreturn]] void fail(std::string_view what) const;  // Error with the byte reached

 private:
  friend struct Instructions;

  std::string_view take(uint64_t count);
  uint64_t number(size_t bytes);  // little-endian
  std::string_view line();

  void push(PickleValue value);
  void push_items(PickleKind kind, std::vector<PickleRef> items);
  void push_integer(int64_t value);
  void push_boolean(int64_t value);
  PickleRef pop();
  PickleRef top();
  std::vector<PickleRef> pop_many(size_t count);
  std::vector<PickleRef> pop_to_mark();

  void proto();
  void mark();
  void remember(uint64_t index);
  void recall(uint64_t index);
  void push_text(uint64_t length);
  void push_long();
  void global(const std::string& name);
  void global_lines();
  void stack_global();
  void append(PickleKind kind, const std::vector<PickleRef>& items);
  void persistent_id();
  void reduce();
  void build();

  std::string_view pickle_;
  const std::string& file_;
  size_t at_ = 0;
  std::vector<PickleValue> arena_;
  std::vector<PickleRef> stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::map<uint64_t, PickleRef> memo_;
};

}  // namespace ropewalk
