#include "bench/cuda/kernels.h"

#include "bench/cuda/makers.h"

namespace ropewalk::cuda::bench {

std::vector<KernelName> kernel_names() {
  const auto products = [](auto depth, auto width, uint32_t count, Front front, End end) {
    return [=](Machine& machine, const Sizes& sizes) {
      return make_products(machine, sizes, {sizes.*depth, sizes.*width, count, front, end});
    };
  };
  const auto attention = [](abi::DType type) {
    return
        [=](Machine& machine, const Sizes& sizes) { return make_attention(machine, sizes, type); };
  };
  constexpr auto hidden = &Sizes::hidden, intermediate = &Sizes::intermediate;
  return {{"embed", make_embed},
          {"norm_qkv", products(hidden, hidden, 3, Front::norm, End::append)},
          {"attention_o", make_attention_o},
          {"norm_mlp", make_norm_mlp},
          {"logits", make_logits},
          {"qkv", products(hidden, hidden, 3, Front::none, End::append)},
          {"o", products(hidden, hidden, 1, Front::none, End::add)},
          {"gate_up", products(hidden, intermediate, 2, Front::none, End::silu_mul)},
          {"down", products(intermediate, hidden, 1, Front::none, End::add)},
          {"lm_head", make_lm_head},
          {"attention", attention(abi::DType::f16)},
          {"attention_int8", attention(abi::DType::i8)},
          {"norm", make_norm}};
}

}  // namespace ropewalk::cuda::bench
