// recorder.h — records dispatches into command buffers, with the barriers between them.
//
// A dispatch says what it reads and writes; hazards.h decides where a barrier is needed, so nodes
// that do not depend on one another run side by side. A new command buffer begins where the
// arithmetic in one would take too long: driver watchdogs kill a submission that runs for seconds.
#pragma once

#include <initializer_list>
#include <vector>

#include "backends/vulkan/device/memory.h"
#include "backends/vulkan/program/hazards.h"
#include "backends/vulkan/program/pipelines.h"
#include "core/abi/step_counts.h"

namespace ropewalk::vulkan {

struct Groups {
  uint64_t x, y, z;
};

struct Dispatch {
  const Shader& shader;
  const Constants& constants;
  Groups groups;
  double flop;  // an estimate
};

class Recorder {
 public:
  Recorder(Context& context, Pipelines& pipelines);

  template <class Push>
  void dispatch(const Dispatch& what, const Push& push, std::initializer_list<Range> reads,
                std::initializer_list<Range> writes) {
    static_assert(sizeof push <= kPushBytes);
    record(what, &push, sizeof push, reads, writes);
  }
  // Copies all of `from` before everything else. REQUIRES: nothing is recorded yet, and no earlier
  // submission that uses `to` is under way.
  void upload(const Block& from, const Block& to);
  // Copies a result behind everything else, for the host to read when the step has ended.
  void download(const Block& from, const VkBufferCopy& region, VkBuffer to);
  // A result that later dispatches may use again (hazards.h).
  bool remembers(const Derived& derived) const { return hazards_.remembers(derived); }
  void remember(const Derived& derived) { hazards_.remember(derived); }
  // The dispatches before it and those after it do not overlap; the query gets the time between.
  void timestamp(VkQueryPool pool, uint32_t query);
  // Before the first timestamp of each execution.
  void reset(VkQueryPool pool, uint32_t queries);
  // Ends the recording. The caller owns the command buffers, to be submitted in this order.
  std::vector<VkCommandBuffer> finish();

  // FLOP of one submission; a dispatch should have no more.
  double budget() const { return budget_; }
  const Features& features() const { return context_.features(); }
  const abi::StepCounts& counts() const { return counts_; }

 private:
  void record(const Dispatch& what, const void* push, uint32_t push_bytes,
              std::initializer_list<Range> reads, std::initializer_list<Range> writes);
  void begin();
  void open();
  void wait_for_earlier();
  struct Accesses {
    VkAccessFlags what;
    VkPipelineStageFlags stages;
  };
  static constexpr Accesses kByShaders = {VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT,
                                          VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT};
  void barrier(const Accesses& before, const Accesses& after);
  void barrier_between_dispatches();

  Context& context_;
  Pipelines& pipelines_;
  double budget_;     // FLOP of a command buffer
  double spent_ = 0;  // of it
  Hazards hazards_;
  std::vector<VkCommandBuffer> buffers_;
  VkPipeline bound_ = VK_NULL_HANDLE;
  abi::StepCounts counts_;  // so far
};

}  // namespace ropewalk::vulkan
