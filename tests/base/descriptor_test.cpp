#include "core/base/descriptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>

namespace ropewalk::test {
namespace {

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

struct Ends {
  Ends() {
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    read = Descriptor(fds[0]);
    write = Descriptor(fds[1]);
  }
  Descriptor read, write;
};

TEST(Descriptor, IsClosedOnceByItsLastOwner) {
  int fd = -1;
  {
    Ends ends;
    fd = ends.read.get();
    Descriptor other = std::move(ends.read);
    EXPECT_FALSE(ends.read.valid());
    EXPECT_EQ(other.get(), fd);
    ends.read.close();
    EXPECT_TRUE(is_open(fd));
    ends.read = std::move(other);
    EXPECT_TRUE(is_open(fd));
  }
  EXPECT_FALSE(is_open(fd));
  Ends ends;
  ends.read.close();
  EXPECT_FALSE(ends.read.valid());
  EXPECT_FALSE(is_open(fd));
}

TEST(Descriptor, IsReadUntilTheSpanIsFullOrTheFileEnds) {
  Ends ends;
  std::thread writer([&] {
    for (const char* part : {"ab", "cd", "efg"})
      EXPECT_GT(::write(ends.write.get(), part, std::string_view(part).size()), 0);
    ends.write.close();
  });
  std::string text(4, '?');
  EXPECT_EQ(read_up_to(ends.read, text), 4);
  EXPECT_EQ(text, "abcd");
  text.assign(4, '?');
  EXPECT_EQ(read_up_to(ends.read, text), 3);
  EXPECT_EQ(text, "efg?");
  EXPECT_EQ(read_up_to(ends.read, text), 0);
  writer.join();
  ends.read.close();
  EXPECT_EQ(read_up_to(ends.read, text), -1);
}

}  // namespace
}  // namespace ropewalk::test
