// result_line.h — an answer of a batch, as OpenAI's Batch API writes it.
//
//   {"id":"batch_req_H","custom_id":"q-1",
//    "response":{"status_code":200,"request_id":"req_H","body":{...}},"error":null}
//
// on one line. H are 24 hexadecimal digits of the custom_id's SHA-256. The body is what the server
// answers to the same request, an `error` object included.
#pragma once

#include <string>
#include <string_view>

#include "core/http/message.h"

namespace ropewalk::batch {

// "req_" and the 24 digits.
std::string request_id(std::string_view custom_id);

// With its line end. REQUIRES: the response's body is JSON on one line.
std::string result_line(const std::string& custom_id, const http::Response& response);

// What a batch must know of a line that it wrote, found without reading the body.
struct Result {
  std::string custom_id;
  int status = 0;

  bool failed() const { return status != 200; }
};
// Throws Error(usage) with `where` in front for a line of another form, and for one that a crash of
// the machine damaged: it ends elsewhere or has a NUL in it.
Result read_result(std::string_view line, const std::string& where);

}  // namespace ropewalk::batch
