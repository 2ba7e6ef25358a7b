// recorder.h — records what the ops of a program do.
//
// A dispatch says what it reads and writes, so nodes that do not depend on one another run side by
// side: hazards.h decides where a barrier is needed.
#pragma once

#include <initializer_list>

#include "backends/vulkan/device/memory.h"
#include "backends/vulkan/program/hazards.h"
#include "backends/vulkan/program/pipelines.h"
#include "backends/vulkan/program/recording.h"

namespace ropewalk::vulkan {

struct Dispatch {
  const Shader& shader;
  const Constants& constants;
  Groups groups;
  double flop;  // an estimate
};

class Recorder {
 public:
  // `budget`: FLOP of one submission, by an estimate.
  Recorder(Context& context, Pipelines& pipelines, double budget)
      : context_(context), pipelines_(pipelines), budget_(budget) {}

  template <class Push>
  void dispatch(const Dispatch& what, const Push& push, std::initializer_list<Range> reads,
                std::initializer_list<Range> writes) {
    static_assert(sizeof push <= kPushBytes);
    record(what, std::as_bytes(std::span(&push, 1)), reads, writes);
  }
  // Copies all of `from` before everything else. REQUIRES: nothing is recorded yet, and no earlier
  // submission that uses `to` is under way.
  void upload(const Block& from, const Block& to);
  // Copies a result behind everything else, for the host to read when the step has ended.
  void download(const Block& from, const VkBufferCopy& region, VkBuffer to);
  // A result that later dispatches may use again (hazards.h).
  bool remembers(const Derived& derived) const { return derived_.remembers(derived); }
  void remember(const Derived& derived) { derived_.remember(derived); }
  // The dispatches before it and those after it do not overlap; the query gets the time between.
  void timestamp(VkQueryPool pool, uint32_t query);
  // Before the first timestamp of each execution.
  void reset(VkQueryPool pool, uint32_t queries);
  Recording finish() { return std::move(recording_); }

  // A dispatch should have no more FLOP.
  double budget() const { return budget_; }
  const Features& features() const { return context_.features(); }

 private:
  void record(const Dispatch& what, std::span<const std::byte> push,
              std::initializer_list<Range> reads, std::initializer_list<Range> writes);

  Context& context_;
  Pipelines& pipelines_;
  const double budget_;
  Hazards derived_;  // of which only what it remembers is used
  Recording recording_;
};

}  // namespace ropewalk::vulkan
