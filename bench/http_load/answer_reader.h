// answer_reader.h — reads HTTP answers as they come and counts their server-sent events; shares no
// code with the server that it measures.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ropewalk::bench {

class AnswerReader {
 public:
  enum class State { head, body, done, broken };

  // Reads more bytes. Bytes after the answer's end are an error, since nothing is pipelined.
  State read(std::string_view bytes);
  // The connection has ended: `done` where the answer ends with its connection.
  State end();
  void reset();

  int status() const { return status_; }
  bool closes() const { return closes_; }  // the server closes the connection after this answer
  uint64_t body_bytes() const { return body_bytes_; }
  uint64_t events() const { return events_; }    // "data:" events without "data: [DONE]"
  bool said_done() const { return said_done_; }  // "data: [DONE]"

 private:
  bool read_head();
  void take_body(std::string_view bytes);
  void take_line(std::string_view line);

  enum class Framing { length, chunked, until_close };
  State state_ = State::head;
  Framing framing_ = Framing::until_close;
  std::string buffer_;  // a head, a chunk's size line
  std::string line_;    // of an event, which has not ended
  uint64_t left_ = 0;   // bytes of the body or of the chunk, with the line end behind it
  bool in_chunk_ = false, last_chunk_ = false, closes_ = false, said_done_ = false;
  int status_ = 0;
  uint64_t body_bytes_ = 0, events_ = 0;
};

}  // namespace ropewalk::bench
