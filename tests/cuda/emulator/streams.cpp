#include "tests/cuda/emulator/streams.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <utility>

namespace ropewalk::emulator {
namespace {

// By stream, the one that goes first in front.
using Queues = std::map<uint64_t, std::deque<const Command*>>;

Queues queues_of(const Commands& commands) {
  Queues queues;
  for (const Command& command : commands) {
    const uint64_t number = command.stream->number;
    queues[is_backward() ? ~number : number].push_back(&command);
  }
  return queues;
}

Commands& pending() {
  static Commands all;
  return all;
}

}  // namespace

bool is_backward() {
  const char* order = std::getenv("EMULATOR_ORDER");
  return order && !std::strcmp(order, "backward");
}

bool is_scattered() {
  const char* order = std::getenv("EMULATOR_ORDER");
  return order && !std::strcmp(order, "scattered");
}

bool copies_are_late() {
  const char* copies = std::getenv("EMULATOR_COPIES");
  return copies ? !std::strcmp(copies, "late") : is_backward();
}

void run(const Commands& commands) {
  std::set<uint64_t> pending_events;
  for (const Command& command : commands)
    if (command.records) pending_events.insert(command.records);
  Queues queues = queues_of(commands);
  const auto step = [&] {
    for (auto& [number, queue] : queues) {
      if (queue.empty() || pending_events.count(queue.front()->waits)) continue;
      if (queue.front()->work) queue.front()->work();
      pending_events.erase(queue.front()->records);
      queue.pop_front();
      return true;
    }
    return false;
  };
  while (step()) continue;
  for (const auto& [number, queue] : queues) {
    if (queue.empty()) continue;
    std::fprintf(stderr, "emulator: streams wait for each other\n");
    std::abort();
  }
}

void flush() {
  const Commands commands = std::exchange(pending(), {});
  run(commands);
}

void append(Command command) {
  CUgraph_st* recording = command.stream->recording;
  if (recording && command.work && !command.records) ++command.stream->recorded;
  (recording ? recording->commands : pending()).push_back(std::move(command));
}

}  // namespace ropewalk::emulator
