// sha256.h — SHA-256 (FIPS 180-4). The only user of OpenSSL's libcrypto. A pure function.
#pragma once

#include <string>
#include <string_view>

namespace ropewalk {

// 64 hexadecimal digits, in lower case.
std::string sha256(std::string_view bytes);

}  // namespace ropewalk
