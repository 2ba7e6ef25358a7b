// recorder.h — dispatches into command buffers, with the barriers and the cuts between them.
//
// A dispatch says what it reads and writes; a barrier is recorded where it touches what an earlier
// one since the last barrier has written, or writes what such a one reads. So nodes that do not
// depend on one another run side by side. Command buffers are cut by the arithmetic in them: a
// submission that runs for seconds is what driver watchdogs kill.
#pragma once

#include <initializer_list>
#include <vector>

#include "backends/vulkan/hazards.h"
#include "backends/vulkan/pipelines.h"

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
  // What a dispatch has left for later ones; forgotten where one writes over it.
  bool remembers(const Derived& derived) const { return hazards_.remembers(derived); }
  void remember(const Derived& derived) { hazards_.remember(derived); }
  // Ends the recording. The caller owns the command buffers, to be submitted in this order.
  std::vector<VkCommandBuffer> finish();

  // Arithmetic of one submission; a dispatch should have no more.
  double budget() const { return budget_; }
  const Features& features() const { return context_.features(); }
  uint32_t barriers() const { return barriers_; }

 private:
  void record(const Dispatch& what, const void* push, uint32_t push_bytes,
              std::initializer_list<Range> reads, std::initializer_list<Range> writes);
  void begin();
  void barrier();

  Context& context_;
  Pipelines& pipelines_;
  double budget_;  // of a command buffer
  double spent_ = 0;
  Hazards hazards_;
  std::vector<VkCommandBuffer> buffers_;
  VkPipeline bound_ = VK_NULL_HANDLE;
  uint32_t barriers_ = 0;
};

}  // namespace ropewalk::vulkan
