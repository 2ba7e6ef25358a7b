// descriptor.h — a file descriptor with one owner, which closes it.
#pragma once

#include <sys/types.h>

#include <span>
#include <utility>

namespace ropewalk {

class Descriptor {
 public:
  Descriptor() = default;                            // none
  explicit Descriptor(int fd) noexcept : fd_(fd) {}  // takes it; negative: none
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void close() noexcept;  // a second call does nothing

 private:
  int fd_ = -1;
};

// Reads from where the file stands until `into` is full or the file ends. Returns the bytes read,
// or -1 with errno set.
ssize_t read_up_to(const Descriptor& file, std::span<char> into);

}  // namespace ropewalk
