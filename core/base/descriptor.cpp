#include "core/base/descriptor.h"

#include <unistd.h>

#include <cerrno>

namespace ropewalk {

void Descriptor::close() noexcept {
  if (valid()) ::close(std::exchange(fd_, -1));
}

ssize_t read_up_to(const Descriptor& file, std::span<char> into) {
  size_t have = 0;
  while (have < into.size()) {
    const ssize_t got = read(file.get(), into.data() + have, into.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  return static_cast<ssize_t>(have);
}

}  // namespace ropewalk
