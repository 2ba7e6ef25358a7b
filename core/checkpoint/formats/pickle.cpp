#include "core/checkpoint/formats/pickle.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/checkpoint/formats/pickle_machine.h"
#include "core/checkpoint/formats/tensor_file.h"

namespace ropewalk {
namespace {

// Index of the last element plus one; nullopt where it does not fit 64 bits.
std::optional<uint64_t> end_of(const PickledTensor& tensor) {
  std::optional<uint64_t> last = tensor.offset;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.shape[i] == 0) return tensor.offset;
    const auto step = checked_mul(tensor.shape[i] - 1, tensor.stride[i]);
    last = step && last ? checked_add(*last, *step) : std::nullopt;
  }
  return last ? checked_add(*last, 1) : std::nullopt;
}

class StateDict {
 public:
  explicit StateDict(const PickleMachine& machine) : machine_(machine) {}

  PickledTensor tensor(std::string_view name, PickleRef ref) const {
    const std::vector<PickleRef>& parts = machine_.expect(ref, PickleKind::tensor).items;
    const std::vector<PickleRef>& storage = machine_.value(parts[0]).items;
    PickledTensor out;
    out.name = std::string(name);
    out.type = machine_.value(storage[0]).global->type;
    out.storage = std::string(machine_.value(storage[1]).text);
    out.elements = natural(storage[2], name);
    out.offset = natural(parts[1], name);
    out.shape = naturals(parts[2], name);
    out.stride = naturals(parts[3], name);
    if (out.shape.size() != out.stride.size())
      machine_.fail(
          fmt::format("{} has {} sizes and {} strides", name, out.shape.size(), out.stride.size()));
    const auto end = end_of(out);
    if (!end || *end > out.elements || !tensor_bytes(out.type, out.shape))
      machine_.fail(fmt::format("{} of shape [{}] reaches beyond its storage of {} elements", name,
                                fmt::join(out.shape, ", "), out.elements));
    return out;
  }

 private:
  uint64_t natural(PickleRef ref, std::string_view name) const {
    const int64_t value = machine_.expect(ref, PickleKind::integer).integer;
    if (value < 0) machine_.fail(fmt::format("{} has a negative size, stride or offset", name));
    return static_cast<uint64_t>(value);
  }

  std::vector<uint64_t> naturals(PickleRef ref, std::string_view name) const {
    const std::vector<PickleRef>& items = machine_.expect(ref, PickleKind::tuple).items;
    if (items.size() > kMaxRank)
      machine_.fail(
          fmt::format("{} has rank {}, expected at most {}", name, items.size(), kMaxRank));
    std::vector<uint64_t> values;
    for (const PickleRef item : items) values.push_back(natural(item, name));
    return values;
  }

  const PickleMachine& machine_;
};

}  // namespace

std::vector<PickledTensor> read_state_dict(std::span<const std::byte> pickle,
                                           const std::string& file) {
  PickleMachine machine({reinterpret_cast<const char*>(pickle.data()), pickle.size()}, file);
  const std::vector<PickleRef>& items = machine.expect(machine.run(), PickleKind::dict).items;
  if (items.size() / 2 > kMaxTensors)
    machine.fail(fmt::format("more than {} tensors", kMaxTensors));
  const StateDict dict(machine);
  std::vector<PickledTensor> tensors;
  for (size_t i = 0; i < items.size(); i += 2) {
    const std::string_view name = machine.expect(items[i], PickleKind::text).text;
    if (!is_tensor_name(name)) machine.fail(fmt::format("a tensor named \"{}\"", printable(name)));
    if (machine.value(items[i + 1]).kind != PickleKind::tensor)
      machine.fail(fmt::format("\"{}\" is no tensor", name));
    tensors.push_back(dict.tensor(name, items[i + 1]));
  }
  return tensors;
}

}  // namespace ropewalk
