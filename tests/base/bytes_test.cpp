#include "core/base/bytes.h"

#include <gtest/gtest.h>

namespace ropewalk::test {
namespace {

TEST(FormatBytes, ReadsAsAPersonWouldSayIt) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1536), "1.50 KiB");
  EXPECT_EQ(format_bytes(uint64_t{7} << 30), "7.00 GiB");
  EXPECT_EQ(format_bytes(123'456'789), "118 MiB");
}

}  // namespace
}  // namespace ropewalk::test
