// fake_device.h — a device that computes nothing, records every call and fails on demand.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/abi/backend.h"
#include "core/abi/largest_logits.h"
#include "core/abi/rope_scaling.h"
#include "core/abi/step_timing.h"

namespace ropewalk::test {

// A Step with the memory behind its spans.
struct SeenStep {
  std::vector<int32_t> token;
  std::vector<uint32_t> position, sequence, length, page, wanted;
  std::vector<float> inv_freq;
  uint32_t prompt_rows;
  abi::ProgramShape shape;
};

class FakeDevice final : public abi::Device, public abi::StepTiming, public abi::LargestLogits {
 public:
  FakeDevice() {
    std::strcpy(info_.name, "fake");
    info_.type = abi::DeviceType::discrete;
    info_.memory_total = info_.memory_free = uint64_t{1} << 40;
    info_.activation = abi::DType::f32;
    info_.kv_types = 0xff;
    info_.max_rows = 512;
  }

  // The behaviour of the next steps. All logits of a row are the same, unless row_of fills them.
  std::function<float(int32_t token, uint32_t position)> logit_of = [](int32_t, uint32_t) {
    return 1.0f;
  };
  std::function<void(const SeenStep& step, uint32_t row, std::span<float> logits)> row_of =
      [this](const SeenStep& step, uint32_t row, std::span<float> logits) {
        std::ranges::fill(logits, logit_of(step.token[row], step.position[row]));
      };
  std::function<void(const SeenStep& step)> on_step = [](const SeenStep&) {};
  abi::Status on_wait;
  abi::Status on_allocate;
  std::string refuse_op_name;  // claim() refuses nodes of this name
  bool has_timing = true;      // group i of a step ends i + 1 microseconds after the first began
  bool timing = false;         // enable() was called
  bool finds_largest = false;  // for executors that are made from here on
  size_t logits_read = 0;      // by all steps

  struct Packed {
    uint64_t buffer, offset;
    uint32_t first_column, cols;
    auto operator<=>(const Packed&) const = default;
  };
  std::vector<Packed> packed;
  uint64_t staging_bytes = uint64_t{64} << 20;  // open_staging() gives at most this

  bool staging_open() const { return !staging_.empty(); }

  std::vector<SeenStep> steps;
  std::map<uint64_t, uint64_t> buffers;  // id -> bytes
  uint64_t allocated = 0;                // all bytes ever
  uint32_t compiled = 0;
  size_t nodes = 0;  // of the graph that was compiled last
  abi::DeviceInfo info_{};

  const abi::DeviceInfo& info() const noexcept override { return info_; }
  abi::Status allocate(abi::Arena, uint64_t bytes, abi::Buffer* buffer) noexcept override {
    if (!on_allocate.ok()) return on_allocate;
    buffer->id = ++last_id_;
    buffers[buffer->id] = bytes;
    allocated += bytes;
    return {};
  }
  void free(abi::Buffer buffer) noexcept override { buffers.erase(buffer.id); }
  abi::Status write(abi::Slice to, std::span<const std::byte> from) noexcept override {
    return within(to) && to.bytes == from.size()
               ? abi::Status{}
               : abi::fail(abi::StatusCode::internal, "write outside its buffer");
  }
  abi::Status read(std::span<std::byte> to, abi::Slice from) noexcept override {
    if (!within(from)) return abi::fail(abi::StatusCode::internal, "read outside its buffer");
    const size_t row_bytes = vocab_ * sizeof(float);
    const size_t first = (from.offset - logits_at_.offset) / row_bytes;
    for (size_t i = 0; i < to.size() / row_bytes; ++i)
      std::memcpy(&to[i * row_bytes], logits_of_wanted(first + i).data(), row_bytes);
    logits_read += to.size() / sizeof(float);
    return {};
  }
  abi::Status packed_bytes(const abi::Weight& weight, uint64_t* bytes) noexcept override {
    *bytes = (uint64_t{weight.rows} * weight.cols * 2 + 255) / 256 * 256;
    return {};
  }
  abi::Status open_staging(uint64_t wanted, std::span<std::byte>* memory) noexcept override {
    staging_.resize(std::min(wanted, staging_bytes));
    *memory = staging_;
    return {};
  }
  void close_staging() noexcept override { staging_ = {}; }
  abi::Status pack(const abi::Weight& weight, abi::Slice to) noexcept override {
    if (!within(to)) return abi::fail(abi::StatusCode::internal, "pack outside");
    packed.push_back({to.buffer.id, to.offset, weight.first_column, weight.cols});
    return {};
  }
  abi::Status claim(const abi::Graph& graph, abi::ClaimSink& sink) noexcept override {
    for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
      if (graph.nodes[i].name == refuse_op_name) {
        sink.refuse(i, "the fake refuses it");
      } else {
        sink.claim({{&i, 1}, {}, 0});
      }
    }
    return {};
  }
  // As attention's, which is split into more parts where there are few rows.
  abi::Status workspace_bytes(const abi::CompileRequest& request,
                              uint64_t* bytes) noexcept override {
    *bytes = (uint64_t{1} << 20) / request.shape.rows;
    return {};
  }
  abi::Status compile(const abi::CompileRequest& request,
                      abi::Program** program) noexcept override {
    if (request.workspace.bytes < (uint64_t{1} << 20) / request.shape.rows ||
        !within(request.workspace))
      return abi::fail(abi::StatusCode::internal, "the workspace is too small");
    ++compiled;
    nodes = request.graph->nodes.size();
    const abi::Tensor& logits = request.graph->tensors[request.graph->outputs[0]];
    logits_at_ = logits.at;
    vocab_ = logits.dim[1];
    *program = new FakeProgram(*this, request.shape);
    return {};
  }
  abi::Status wait() noexcept override { return on_wait; }
  abi::Status measure(abi::Measurement, double*) noexcept override {
    return abi::fail(abi::StatusCode::unsupported, "the fake measures nothing");
  }
  abi::Status extension(std::string_view name, void** interface) noexcept override {
    if (name == abi::kStepTiming && has_timing)
      *interface = static_cast<abi::StepTiming*>(this);
    else if (name == abi::kLargestLogits && finds_largest)
      *interface = static_cast<abi::LargestLogits*>(this);
    else
      return abi::fail(abi::StatusCode::unsupported, "the fake has no " + std::string(name));
    return {};
  }
  abi::Status enable() noexcept override {
    timing = true;
    return {};
  }
  abi::Status last_step(std::span<double> ends_us) noexcept override {
    for (size_t i = 0; i < ends_us.size(); ++i) ends_us[i] = static_cast<double>(i + 1);
    return {};
  }
  abi::Status largest_logits(std::span<int32_t> ids) noexcept override {
    for (size_t i = 0; i < ids.size(); ++i) {
      const std::vector<float> row = logits_of_wanted(i);
      int32_t largest = 0;
      for (int32_t id = 0; id < static_cast<int32_t>(row.size()); ++id)
        if (row[static_cast<size_t>(id)] > row[static_cast<size_t>(largest)]) largest = id;
      const bool finite = std::ranges::all_of(row, [](float x) { return std::isfinite(x); });
      ids[i] = finite ? largest : abi::kNotFinite;
    }
    return {};
  }
  void release() noexcept override {}

 private:
  class FakeProgram final : public abi::Program {
   public:
    FakeProgram(FakeDevice& device, abi::ProgramShape shape) : device_(device), shape_(shape) {}
    abi::Status enqueue(const abi::Step& s) noexcept override {
      const auto copy = [](auto span) { return std::vector(span.begin(), span.end()); };
      device_.steps.push_back({copy(s.token), copy(s.position), copy(s.sequence), copy(s.length),
                               copy(s.page), copy(s.wanted), copy(s.inv_freq), s.prompt_rows,
                               shape_});
      device_.on_step(device_.steps.back());
      return {};
    }
    void release() noexcept override { delete this; }

   private:
    FakeDevice& device_;
    abi::ProgramShape shape_;
  };

  bool within(const abi::Slice& slice) const {
    const auto found = buffers.find(slice.buffer.id);
    return found != buffers.end() && slice.offset + slice.bytes <= found->second;
  }

  std::vector<float> logits_of_wanted(size_t i) const {
    std::vector<float> logits(vocab_);
    row_of(steps.back(), steps.back().wanted[i], logits);
    return logits;
  }

  uint64_t last_id_ = 0;
  abi::Slice logits_at_;  // of the program that was compiled last
  size_t vocab_ = 0;
  std::vector<std::byte> staging_;
};

// A policy whose frequencies are all `length`, so that a test sees which length was asked for.
class LengthPolicy final : public abi::RopeScaling {
 public:
  explicit LengthPolicy(bool varies) : varies_(varies) {}
  bool varies_with_length() const noexcept override { return varies_; }
  abi::Status fill(const abi::RopeRequest& request, abi::RopeTable& table) const noexcept override {
    for (double& frequency : table.inv_freq) frequency = request.length;
    return {};
  }
  void release() noexcept override {}

 private:
  bool varies_;
};

}  // namespace ropewalk::test
