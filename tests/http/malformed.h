// malformed.h — requests that must be refused, and how; shared by the socket and the memory test.
#pragma once

#include <string>
#include <vector>

namespace ropewalk::test {

struct Malformed {
  const char* name;
  std::string bytes;
  int status;
};

inline std::string repeat(const std::string& text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

// Every request asks for what exists: it is refused for its form alone.
inline std::vector<Malformed> malformed_requests() {
  using std::string;
  const string get = "GET /probe HTTP/1.1\r\n";
  const string host = "Host: h\r\n";
  const string post = "POST /echo HTTP/1.1\r\nHost: h\r\n";
  const string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  return {
      // Requests that a proxy and a server may read differently.
      {"length and chunked",
       post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"chunked and length",
       post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400},
      {"two lengths", post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
      {"the same length twice", post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400},
      {"a list of lengths", post + "Content-Length: 1, 1\r\n\r\na", 400},
      {"a signed length", post + "Content-Length: +1\r\n\r\na", 400},
      {"a negative length", post + "Content-Length: -1\r\n\r\na", 400},
      {"a hexadecimal length", post + "Content-Length: 0x1\r\n\r\na", 400},
      {"an empty length", post + "Content-Length:\r\n\r\n", 400},
      {"a length of 2^64", post + "Content-Length: 18446744073709551616\r\n\r\n", 400},
      {"a length of 2^64 + 1 digits", post + "Content-Length: 00000000000000000001\r\n\r\na", 400},
      {"chunked twice",
       post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"chunked, chunked", post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400},
      {"gzip, chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
      {"chunked, identity", post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400},
      {"identity", post + "Transfer-Encoding: identity\r\n\r\n", 400},
      {"xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
      {"quoted chunked", post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400},
      {"a vertical tab before chunked",
       post + "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n0\r\n\r\n",
       400},
      {"a space before the colon", post + "Content-Length : 1\r\n\r\na", 400},
      {"a tab before the colon", post + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", 400},
      {"a continued header", get + host + "X-A: b\r\n c\r\n\r\n", 400},
      {"a continued length", post + "Content-Length:\r\n 1\r\n\r\na", 400},
      {"a continued first header", get + " Host: h\r\n\r\n", 400},
      {"a line feed alone", "GET /probe HTTP/1.1\nHost: h\n\n", 400},
      {"a line feed alone in a header", get + "Host: h\nX-A: b\r\n\r\n", 400},
      {"a line feed alone at the end", get + host + "\n", 400},
      {"a carriage return alone", get + "Host: h\rX-A: b\r\n\r\n", 400},
      {"two carriage returns", get + "Host: h\r\r\n\r\n", 400},
      {"NUL in a value", get + host + string("X-A: a\0b\r\n\r\n", 12), 400},
      {"NUL in a name", get + host + string("X\0A: b\r\n\r\n", 11), 400},
      {"NUL in the target", string("GET /pro\0be HTTP/1.1\r\nHost: h\r\n\r\n", 33), 400},
      {"DEL in a value", get + host + "X-A: \x7f\r\n\r\n", 400},
      {"transfer encoding in HTTP/1.0",
       "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"no host", get + "\r\n", 400},
      {"two hosts", get + host + host + "\r\n", 400},

      // Chunks.
      {"a chunk size that is no number", chunked + "x\r\n\r\n", 400},
      {"an empty chunk size", chunked + "\r\n\r\n", 400},
      {"a negative chunk size", chunked + "-2\r\nab\r\n0\r\n\r\n", 400},
      {"a chunk size of 2^64", chunked + "10000000000000000\r\n", 400},
      {"a chunk size of 0x1", chunked + "0x1\r\na\r\n0\r\n\r\n", 400},
      {"a space before a chunk size", chunked + " 1\r\na\r\n0\r\n\r\n", 400},
      {"a chunk longer than its size", chunked + "1\r\nab\r\n0\r\n\r\n", 400},
      {"a chunk that ends in a line feed", chunked + "1\r\na\n0\r\n\r\n", 400},
      {"a chunk size line that ends in a line feed", chunked + "1\na\r\n0\r\n\r\n", 400},
      {"a long chunk extension", chunked + "1;" + string(2000, 'x') + "\r\na\r\n0\r\n\r\n", 400},
      {"many chunk extensions",
       chunked + repeat("1;" + string(100, 'x') + "\r\na\r\n", 50) + "0\r\n\r\n", 400},
      {"NUL in a chunk extension", chunked + string("1;x=\"\0\"\r\na\r\n0\r\n\r\n", 18), 400},
      {"a chunk extension without a name", chunked + "1;\r\na\r\n0\r\n\r\n", 400},
      {"many trailers", chunked + "0\r\n" + repeat("X-Trailer: 1\r\n", 100) + "\r\n", 400},
      {"a malformed trailer", chunked + "0\r\nno colon\r\n\r\n", 400},
      {"a chunk larger than a body may be", chunked + "1000000\r\n", 413},
      {"chunks larger than a body may be",
       chunked + "7fffff\r\n" + string(0x7fffff, 'x') + "\r\n2\r\n", 413},
      {"a body larger than it may be", post + "Content-Length: 8388609\r\n\r\n", 413},

      // Request lines.
      {"no version", "GET /probe\r\n\r\n", 400},
      {"HTTP/0.9", "GET /probe HTTP/0.9\r\nHost: h\r\n\r\n", 505},
      {"HTTP/1.2", "GET /probe HTTP/1.2\r\nHost: h\r\n\r\n", 505},
      {"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"a version in lower case", "GET /probe http/1.1\r\nHost: h\r\n\r\n", 400},
      {"two spaces", "GET  /probe HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a tab", "GET\t/probe HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a space in front", " GET /probe HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a space behind", "GET /probe HTTP/1.1 \r\nHost: h\r\n\r\n", 400},
      {"a space in the target", "GET /pro be HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"no target", "GET HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a method that is no token", "G(T /probe HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a relative target", "GET probe HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"another scheme", "GET ftp://h/probe HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a user in the target", "GET http://u@h/probe HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"* for GET", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"bytes above ASCII in the target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a fragment", "GET /probe#x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a bad escape", "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"half an escape", "GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"an escaped NUL", "GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"escaped bytes that are no UTF-8", "GET /%ff HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"two empty lines in front", "\r\n\r\n" + get + host + "\r\n", 400},

      // Too much.
      {"a long target", "GET /" + string(9000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
      {"a long target without an end", "GET /" + string(9000, 'a'), 414},
      {"a long header", get + host + "X-A: " + string(17000, 'a') + "\r\n\r\n", 431},
      {"a long header without an end", get + host + "X-A: " + string(17000, 'a'), 431},
      {"many headers", get + host + repeat("X-A: b\r\n", 64) + "\r\n", 431},

      // Other protocols.
      {"TLS", string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), 400},
      {"SSH", "SSH-2.0-OpenSSH_9.2p1\r\n\r\n", 400},
      {"SOCKS", string("\x05\x01\x00", 3), 400},
      {"rubbish", "\xff\xfe\r\n\r\n", 400},
      {"JSON", "{\"prompt\": \"hello\"}\r\n\r\n", 400},
  };
}

}  // namespace ropewalk::test
