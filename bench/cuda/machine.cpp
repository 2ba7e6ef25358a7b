#include "bench/cuda/machine.h"

#include "core/abi/guard.h"

namespace ropewalk::cuda::bench {

Options options_of(const Settings& settings) {
  std::vector<abi::OptionValue> values;
  for (const abi::OptionInfo& option : kOptions) {
    values.push_back({option.name, option.default_value});
    for (const auto& [name, value] : settings)
      if (name == option.name) values.back().value = value;
  }
  return Options(abi::Options({values, nullptr}));
}

std::string name_of(const Settings& settings) {
  std::string all;
  for (const auto& [name, value] : settings) {
    if (!all.empty()) all += " ";
    all += name == "tune" ? value : name + "=" + value;
  }
  return all.empty() ? "default" : all;
}

double Machine::pack(const abi::Weight& weight, const abi::Slice& at) {
  context_.enter();
  const gptq::Layout layout = cuda::pack(weight, at, memory_, context_);
  weights_.add(at, weight, layout);
  if (weight.dtype == abi::DType::gptq) return static_cast<double>(gptq::total_words(layout)) * 4;
  return static_cast<double>(packed_bytes(weight));
}

void Machine::fill(const abi::Slice& at, uint32_t seed) {
  fill_random(memory_.address(at), at.bytes, seed, context_);
}

Ceilings Machine::ceilings() {
  Ceilings all{measure(abi::Measurement::read_bandwidth, context_, memory_), 0};
  static_cast<void>(abi::guard(
      [&] { all.products = measure(abi::Measurement::matmul_rate, context_, memory_); }));
  return all;
}

double Machine::time(const std::function<void()>& body) {
  cudaEvent_t events[2];
  for (cudaEvent_t& event : events) context_.check(cudaEventCreate(&event), "an event");
  context_.check(cudaEventRecord(events[0], context_.stream()), "an event");
  body();
  context_.check(cudaEventRecord(events[1], context_.stream()), "an event");
  context_.wait();
  float milliseconds = 0;
  context_.check(cudaEventElapsedTime(&milliseconds, events[0], events[1]), "a time");
  for (cudaEvent_t event : events) static_cast<void>(cudaEventDestroy(event));
  return milliseconds * 1e-3;
}

}  // namespace ropewalk::cuda::bench
