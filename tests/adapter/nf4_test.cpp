// The base as QLoRA's training saw it, against bitsandbytes (tools/adapters/nf4.py).
#include "core/adapter/nf4_checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/checkpoint/weights/finite.h"
#include "core/json/json.h"
#include "core/model/families.h"
#include "tests/files.h"

namespace ropewalk::test {
namespace {

class Nf4 : public ::testing::Test {
 protected:
  std::vector<float> read(const std::string& name) const {
    const TensorInfo& tensor = rounded.get(name);
    std::vector<std::byte> bytes(tensor.bytes);
    rounded.read(tensor, bytes);
    return to_floats(tensor.type, bytes);
  }

  const std::unique_ptr<Checkpoint> base =
      Checkpoint::open(RW_SOURCE_DIR "/models/airophin-mini-f16", config_families());
  const Nf4Checkpoint rounded{*base};
};

TEST_F(Nf4, RoundsAsBitsandbytesDoes) {
  const Json expected = parse_json(read_file(RW_FIXTURES "/adapters/nf4/expected.json"),
                                   {"expected.json", ExitCode::model});
  for (const auto& [name, row] : expected.items()) {
    const std::vector<float> values = read(name);
    double squares = 0;
    for (const float value : values)
      squares += static_cast<double>(value) * static_cast<double>(value);
    EXPECT_NEAR(std::sqrt(squares), row["norm"].get<double>(), 1e-4 * row["norm"].get<double>());
    // bitsandbytes on a CPU, which made these, does not always take the nearest of the 256 levels
    // of magnitudes, as its GPU code does.
    size_t others = 0;
    for (size_t i = 0; i < row["values"].size(); ++i) {
      const double wanted = row["values"][i].get<double>();
      const double found = values[i * row["step"].get<size_t>()];
      EXPECT_NEAR(found, wanted, std::abs(wanted) * 0.01) << name << " " << i;
      others += std::abs(found - wanted) > std::abs(wanted) * 0x1p-10 ? 1 : 0;
    }
    EXPECT_LE(others, row["values"].size() / 100);
  }
}

TEST_F(Nf4, LeavesTablesAndNormsAlone) {
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight",
                           "model.layers.0.input_layernorm.weight"}) {
    const TensorInfo& tensor = base->get(name);
    std::vector<std::byte> stored(tensor.bytes), seen(tensor.bytes);
    base->read(tensor, stored);
    rounded.read(rounded.get(name), seen);
    EXPECT_EQ(stored, seen) << name;
  }
}

TEST_F(Nf4, ReadsAnyPart) {
  const TensorInfo& tensor = rounded.get("model.layers.1.mlp.up_proj.weight");
  const std::vector<float> whole = read(tensor.name);
  for (const size_t first : {size_t{0}, size_t{1}, size_t{16383}, size_t{16384}, size_t{40000}})
    for (const size_t count : {size_t{1}, size_t{64}, size_t{20000}}) {
      std::vector<std::byte> bytes(count * sizeof(uint16_t));
      rounded.read_from(tensor, first * sizeof(uint16_t), bytes);
      const std::vector<float> part = to_floats(tensor.type, bytes);
      EXPECT_TRUE(
          std::equal(part.begin(), part.end(), whole.begin() + static_cast<ptrdiff_t>(first)))
          << first << " " << count;
    }
}

}  // namespace
}  // namespace ropewalk::test
