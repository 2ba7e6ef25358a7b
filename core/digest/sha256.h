// sha256.h — SHA-256 (FIPS 180-4). The only user of OpenSSL's libcrypto.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace ropewalk {

// 64 hexadecimal digits, in lower case.
std::string sha256(std::string_view bytes);

// The same of bytes that come in parts.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::string_view bytes);
  // REQUIRES: called once, and nothing is added afterwards.
  std::string text();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ropewalk
