#include "core/load/read_ahead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <stdexcept>

namespace ropewalk::test {
namespace {

// Each job fills its room with its number; the weight's `rows` is that number too.
std::vector<ReadAhead::Job> numbered(std::span<const uint64_t> bytes,
                                     const std::function<void(uint32_t)>& reading) {
  std::vector<ReadAhead::Job> jobs;
  for (uint32_t i = 0; i < bytes.size(); ++i)
    jobs.push_back({[i, reading](std::span<std::byte> room) {
                      reading(i);
                      std::fill(room.begin(), room.end(), static_cast<std::byte>(i));
                      abi::Weight weight;
                      weight.rows = i;
                      weight.dense = room;
                      return weight;
                    },
                    bytes[i]});
  return jobs;
}

std::vector<ReadAhead::Job> numbered(uint32_t count, const std::function<void(uint32_t)>& reading) {
  return numbered(std::vector<uint64_t>(count, 256), reading);
}

std::vector<std::byte> ring_of(uint64_t bytes) { return std::vector<std::byte>(bytes); }

TEST(ReadAhead, InOrderWhoeverReadsFaster) {
  std::vector<std::byte> ring = ring_of(2560);
  ReadAhead reading(numbered(50,
                             [](uint32_t i) {
                               std::this_thread::sleep_for(std::chrono::microseconds(i % 7 * 100));
                             }),
                    4, ring);
  for (uint32_t i = 0; i < 50; ++i) EXPECT_EQ(reading.next().rows, i);
}

// Jobs of many sizes wrap around the ring in every way. A weight that was handed out lies within
// the ring, and no other job writes over it.
TEST(ReadAhead, WhatIsOutIsLeftAlone) {
  std::vector<uint64_t> bytes;
  uint64_t state = 1;
  for (uint32_t i = 0; i < 3000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    bytes.push_back(i % 17 == 0 ? 4096 : i % 29 == 0 ? 1 : (state >> 33) % 2100 + 1);
  }
  std::vector<std::byte> ring = ring_of(4096);
  ReadAhead reading(numbered(bytes, [](uint32_t) {}), 3, ring);
  for (uint32_t i = 0; i < bytes.size(); ++i) {
    const abi::Weight& weight = reading.next();
    ASSERT_EQ(weight.dense.size(), bytes[i]);
    ASSERT_GE(weight.dense.data(), ring.data());
    ASSERT_LE(weight.dense.data() + bytes[i], ring.data() + ring.size());
    std::this_thread::yield();
    const auto other = [&](std::byte byte) { return byte != static_cast<std::byte>(i); };
    ASSERT_EQ(std::count_if(weight.dense.begin(), weight.dense.end(), other), 0) << i;
  }
}

// The first job ends only after the second has started: one thread would wait forever.
TEST(ReadAhead, SeveralAtATime) {
  std::latch both(2);
  std::vector<std::byte> ring = ring_of(512);
  ReadAhead reading(numbered(2, [&](uint32_t) { both.arrive_and_wait(); }), 2, ring);
  EXPECT_EQ(reading.next().rows, 0u);
  EXPECT_EQ(reading.next().rows, 1u);
}

// Three jobs of 256 bytes fit 900 bytes; a packed weight frees its room.
TEST(ReadAhead, HoldsNoMoreThanItMay) {
  std::atomic<uint32_t> begun = 0;
  std::vector<std::byte> ring = ring_of(900);
  ReadAhead reading(numbered(40, [&](uint32_t) { ++begun; }), 8, ring);
  for (uint32_t taken = 0; taken < 40; ++taken) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    EXPECT_LE(begun, taken + 2 + (taken == 0)) << "the one that is out and two beside it";
    reading.next();
  }
  EXPECT_EQ(begun, 40u);
}

TEST(ReadAhead, AnErrorComesInItsPlace) {
  std::vector<std::byte> ring = ring_of(1024);
  ReadAhead reading(numbered(4,
                             [](uint32_t i) {
                               if (i == 1) throw std::runtime_error("the second");
                             }),
                    4, ring);
  EXPECT_EQ(reading.next().rows, 0u);
  EXPECT_THROW(reading.next(), std::runtime_error);
  EXPECT_EQ(reading.next().rows, 2u);
}

// Jobs that have not started are not read any more.
TEST(ReadAhead, EndsEarly) {
  std::atomic<uint32_t> read = 0;
  std::vector<std::byte> ring = ring_of(1280);
  {
    ReadAhead reading(numbered(1000, [&](uint32_t) { ++read; }), 4, ring);
    reading.next();
  }
  EXPECT_LE(read, 6u);
}

}  // namespace
}  // namespace ropewalk::test
