#include "core/model/families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "core/model/synthetic.h"

namespace ropewalk::test {
namespace {

constexpr ModelOptions kOptions{
    .activation = abi::DType::f32,
    .kv_type = abi::DType::f16,
    .cache_pages = 1,
    .attention_scale = 1,
    .keys = abi::KeyRotation::before_cache,
};

TEST(Families, EveryRowHasANameOfItsOwnAndBuildsAGraph) {
  std::set<std::string_view> types;
  for (const Family& family : families()) {
    EXPECT_TRUE(types.insert(family.config.model_type).second) << family.config.model_type;
    EXPECT_FALSE(family.config.architectures.empty()) << family.config.model_type;
    ModelConfig config = *known_shape("airophin-mini");
    config.model_type = family.config.model_type;
    const auto weights = make_synthetic(config, std::nullopt, 1);
    const Graph graph = build_model(*weights, kOptions).graph;
    ASSERT_EQ(graph.outputs.size(), 1u) << family.config.model_type;
    EXPECT_EQ(graph.tensors[graph.outputs[0]].dims,
              (std::vector<uint32_t>{abi::kWanted, config.vocab_size}));
  }
}

TEST(Families, EveryKnownShapeIsOfOne) {
  for (const std::string_view shape : known_shapes()) {
    const ModelConfig config = *known_shape(shape);
    EXPECT_TRUE(std::ranges::any_of(families(), [&](const Family& family) {
      return family.config.model_type == config.model_type;
    })) << shape;
  }
}

TEST(Families, AModelOfNoneIsABug) {
  ModelConfig config = *known_shape("airophin-mini");
  config.model_type = "unheard-of";
  EXPECT_THROW(build_model(*make_synthetic(config, std::nullopt, 1), kOptions), std::logic_error);
}

}  // namespace
}  // namespace ropewalk::test
