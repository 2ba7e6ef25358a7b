#include "core/checkpoint/formats/pickle_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/utf8.h"
#include "core/checkpoint/refuse.h"

namespace ropewalk {
namespace {

constexpr std::string_view kPickleAdvice = "Take the safetensors files of this model";

// Bounds on memory: one byte of pickle can cost 80 of ours. A state dict has 14 values per tensor.
constexpr size_t kMaxValues = 1'500'000;
constexpr size_t kMaxMarks = 100;

constexpr std::array<PickleGlobal, 13> kGlobals{
    {{"collections.OrderedDict", PickleName::ordered_dict, StoredType::f32},
     {"torch._utils._rebuild_tensor_v2", PickleName::rebuild_tensor, StoredType::f32},
     {"torch._utils._rebuild_parameter", PickleName::rebuild_parameter, StoredType::f32},
     {"torch.FloatStorage", PickleName::storage, StoredType::f32},
     {"torch.HalfStorage", PickleName::storage, StoredType::f16},
     {"torch.BFloat16Storage", PickleName::storage, StoredType::bf16},
     {"torch.DoubleStorage", PickleName::storage, StoredType::f64},
     {"torch.LongStorage", PickleName::storage, StoredType::i64},
     {"torch.IntStorage", PickleName::storage, StoredType::i32},
     {"torch.ShortStorage", PickleName::storage, StoredType::i16},
     {"torch.CharStorage", PickleName::storage, StoredType::i8},
     {"torch.ByteStorage", PickleName::storage, StoredType::u8},
     {"torch.BoolStorage", PickleName::storage, StoredType::boolean}}};

std::string_view name_of(PickleKind kind) {
  constexpr std::array<std::string_view, 10> kNames{
      "None",   "True or False", "an integer", "a text",    "a tuple",
      "a list", "a dictionary",  "a name",     "a storage", "a tensor"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace

// The whole instruction set, under the names of CPython's Lib/pickletools.py. STOP is run()'s.
struct Instructions {
  using Machine = PickleMachine;
  struct Row {
    unsigned char code;
    void (*run)(Machine&);
  };
  using Kind = PickleKind;
  static constexpr Row kRows[] = {
      {0x80, [](Machine& m) { m.proto(); }},          // PROTO
      {0x95, [](Machine& m) { m.number(8); }},        // FRAME: about buffers
      {'(', [](Machine& m) { m.mark(); }},            // MARK
      {'N', [](Machine& m) { m.push({}); }},          // NONE
      {0x88, [](Machine& m) { m.push_boolean(1); }},  // NEWTRUE
      {0x89, [](Machine& m) { m.push_boolean(0); }},  // NEWFALSE
      {'K', [](Machine& m) { m.push_integer(static_cast<uint8_t>(m.number(1))); }},   // BININT1
      {'M', [](Machine& m) { m.push_integer(static_cast<uint16_t>(m.number(2))); }},  // BININT2
      {'J', [](Machine& m) { m.push_integer(static_cast<int32_t>(m.number(4))); }},   // BININT
      {0x8a, [](Machine& m) { m.push_long(); }},                                      // LONG1
      {'X', [](Machine& m) { m.push_text(m.number(4)); }},                            // BINUNICODE
      {0x8c, [](Machine& m) { m.push_text(m.number(1)); }},                   // SHORT_BINUNICODE
      {')', [](Machine& m) { m.push_items(Kind::tuple, {}); }},               // EMPTY_TUPLE
      {']', [](Machine& m) { m.push_items(Kind::list, {}); }},                // EMPTY_LIST
      {'}', [](Machine& m) { m.push_items(Kind::dict, {}); }},                // EMPTY_DICT
      {'t', [](Machine& m) { m.push_items(Kind::tuple, m.pop_to_mark()); }},  // TUPLE
      {0x85, [](Machine& m) { m.push_items(Kind::tuple, m.pop_many(1)); }},   // TUPLE1
      {0x86, [](Machine& m) { m.push_items(Kind::tuple, m.pop_many(2)); }},   // TUPLE2
      {0x87, [](Machine& m) { m.push_items(Kind::tuple, m.pop_many(3)); }},   // TUPLE3
      {'a', [](Machine& m) { m.append(Kind::list, m.pop_many(1)); }},         // APPEND
      {'e', [](Machine& m) { m.append(Kind::list, m.pop_to_mark()); }},       // APPENDS
      {'s', [](Machine& m) { m.append(Kind::dict, m.pop_many(2)); }},         // SETITEM
      {'u', [](Machine& m) { m.append(Kind::dict, m.pop_to_mark()); }},       // SETITEMS
      {'q', [](Machine& m) { m.remember(m.number(1)); }},                     // BINPUT
      {'r', [](Machine& m) { m.remember(m.number(4)); }},                     // LONG_BINPUT
      {0x94, [](Machine& m) { m.remember(m.memo_.size()); }},                 // MEMOIZE
      {'h', [](Machine& m) { m.recall(m.number(1)); }},                       // BINGET
      {'j', [](Machine& m) { m.recall(m.number(4)); }},                       // LONG_BINGET
      {'c', [](Machine& m) { m.global_lines(); }},                            // GLOBAL
      {0x93, [](Machine& m) { m.stack_global(); }},                           // STACK_GLOBAL
      {'Q', [](Machine& m) { m.persistent_id(); }},                           // BINPERSID
      {'R', [](Machine& m) { m.reduce(); }},                                  // REDUCE
      {'b', [](Machine& m) { m.build(); }},                                   // BUILD
  };
};

PickleRef PickleMachine::run() {
  constexpr unsigned char kStop = '.';
  for (;;) {
    const auto code = static_cast<unsigned char>(take(1)[0]);
    if (code == kStop) break;
    const auto* row = std::find_if(std::begin(Instructions::kRows), std::end(Instructions::kRows),
                                   [&](const auto& candidate) { return candidate.code == code; });
    if (row == std::end(Instructions::kRows))
      fail(fmt::format("instruction 0x{:02x}, which no state dict needs", code));
    row->run(*this);
  }
  if (stack_.size() != 1 || !marks_.empty()) fail("ends with more or less than one value");
  return stack_.back();
}

void PickleMachine::fail(std::string_view what) const {
  refuse(fmt::format("{}: data.pkl", file_), fmt::format("{} before byte {}", what, at_),
         kPickleAdvice);
}

const PickleValue& PickleMachine::expect(PickleRef ref, PickleKind kind) const {
  const PickleValue& value = arena_[ref];
  if (value.kind != kind)
    fail(fmt::format("found {}, expected {}", name_of(value.kind), name_of(kind)));
  return value;
}

std::string_view PickleMachine::take(uint64_t count) {
  if (count > pickle_.size() - at_) fail(fmt::format("{} more bytes expected, none left", count));
  const std::string_view taken = pickle_.substr(at_, count);
  at_ += count;
  return taken;
}

uint64_t PickleMachine::number(size_t bytes) {
  uint64_t value = 0;
  int shift = 0;
  for (const char c : take(bytes)) {
    value |= uint64_t{static_cast<unsigned char>(c)} << shift;
    shift += 8;
  }
  return value;
}

std::string_view PickleMachine::line() {
  const size_t end = pickle_.find('\n', at_);
  if (end == pickle_.npos) fail("a line that does not end");
  const std::string_view taken = take(end - at_);
  take(1);
  return taken;
}

void PickleMachine::push(PickleValue value) {
  if (arena_.size() == kMaxValues) fail(fmt::format("more than {} values", kMaxValues));
  stack_.push_back(static_cast<PickleRef>(arena_.size()));
  arena_.push_back(std::move(value));
}

void PickleMachine::push_items(PickleKind kind, std::vector<PickleRef> items) {
  push({kind, 0, nullptr, {}, std::move(items)});
}

void PickleMachine::push_integer(int64_t value) {
  push({PickleKind::integer, value, nullptr, {}, {}});
}

void PickleMachine::push_boolean(int64_t value) {
  push({PickleKind::boolean, value, nullptr, {}, {}});
}

PickleRef PickleMachine::pop() {
  const size_t floor = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() <= floor) fail("a value expected, none left");
  const PickleRef ref = stack_.back();
  stack_.pop_back();
  return ref;
}

PickleRef PickleMachine::top() {
  const PickleRef ref = pop();
  stack_.push_back(ref);
  return ref;
}

std::vector<PickleRef> PickleMachine::pop_many(size_t count) {
  std::vector<PickleRef> items(count);
  for (size_t i = count; i-- > 0;) items[i] = pop();
  return items;
}

std::vector<PickleRef> PickleMachine::pop_to_mark() {
  if (marks_.empty()) fail("a mark expected, none left");
  std::vector<PickleRef> items(stack_.begin() + static_cast<ptrdiff_t>(marks_.back()),
                               stack_.end());
  stack_.resize(marks_.back());
  marks_.pop_back();
  return items;
}

void PickleMachine::proto() {
  const uint64_t version = number(1);
  if (version < 2 || version > 5) fail(fmt::format("protocol {}, expected 2 to 5", version));
}

void PickleMachine::mark() {
  if (marks_.size() == kMaxMarks) fail(fmt::format("more than {} open marks", kMaxMarks));
  marks_.push_back(stack_.size());
}

void PickleMachine::remember(uint64_t index) {
  if (memo_.size() == kMaxValues) fail(fmt::format("more than {} memos", kMaxValues));
  memo_[index] = top();
}

void PickleMachine::recall(uint64_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) fail(fmt::format("memo {} was never stored", index));
  stack_.push_back(found->second);
}

void PickleMachine::push_text(uint64_t length) {
  const std::string_view text = take(length);
  if (utf8_first_error(text) != text.npos) fail("a text that is not UTF-8");
  push({PickleKind::text, 0, nullptr, text, {}});
}

void PickleMachine::push_long() {
  const uint64_t bytes = number(1);
  if (bytes > 8) fail(fmt::format("an integer of {} bytes, expected at most 8", bytes));
  uint64_t value = number(bytes);
  // Two's complement of as many bytes as there are.
  if (bytes > 0 && bytes < 8 && value >> (8 * bytes - 1)) value |= ~uint64_t{0} << (8 * bytes);
  push_integer(static_cast<int64_t>(value));
}

void PickleMachine::global(const std::string& name) {
  for (const PickleGlobal& known : kGlobals)
    if (known.name == name) return push({PickleKind::global, 0, &known, {}, {}});
  refuse(
      fmt::format("{}: data.pkl", file_),
      fmt::format("asks for \"{}\" before byte {}, expected nothing but tensors: Python would run "
                  "its code",
                  printable(name), at_),
      kPickleAdvice);
}

void PickleMachine::global_lines() {
  const std::string_view module = line();
  global(fmt::format("{}.{}", module, line()));
}

void PickleMachine::stack_global() {
  const std::string_view name = expect(pop(), PickleKind::text).text;
  global(fmt::format("{}.{}", expect(pop(), PickleKind::text).text, name));
}

void PickleMachine::append(PickleKind kind, const std::vector<PickleRef>& items) {
  if (kind == PickleKind::dict && items.size() % 2 != 0) fail("a key without a value");
  const PickleRef into = top();
  expect(into, kind);
  arena_[into].items.insert(arena_[into].items.end(), items.begin(), items.end());
}

// ("storage", type, key, device, elements), torch/serialization.py persistent_id().
void PickleMachine::persistent_id() {
  const std::vector<PickleRef> id = expect(pop(), PickleKind::tuple).items;
  if (id.size() != 5 || expect(id[0], PickleKind::text).text != "storage")
    fail("a persistent id that is no storage");
  if (expect(id[1], PickleKind::global).global->what != PickleName::storage)
    fail("a storage of no type");
  expect(id[2], PickleKind::text);
  expect(id[4], PickleKind::integer);
  push_items(PickleKind::storage, {id[1], id[2], id[4]});
}

void PickleMachine::reduce() {
  const std::vector<PickleRef> arguments = expect(pop(), PickleKind::tuple).items;
  const PickleGlobal& function = *expect(pop(), PickleKind::global).global;
  if (function.what == PickleName::ordered_dict && arguments.empty())
    return push_items(PickleKind::dict, {});
  // storage, offset, size, stride, requires_grad, hooks[, metadata]
  if (function.what == PickleName::rebuild_tensor && arguments.size() >= 6) {
    expect(arguments[0], PickleKind::storage);
    return push_items(PickleKind::tensor, {arguments.begin(), arguments.begin() + 4});
  }
  // data, requires_grad, hooks
  if (function.what == PickleName::rebuild_parameter && arguments.size() == 3) {
    expect(arguments[0], PickleKind::tensor);
    stack_.push_back(arguments[0]);
    return;
  }
  fail(fmt::format("{} called with {} arguments", function.name, arguments.size()));
}

// Sets attributes of an object, such as a state dict's _metadata. They say nothing to us.
void PickleMachine::build() {
  pop();
  expect(top(), PickleKind::dict);
}

}  // namespace ropewalk
