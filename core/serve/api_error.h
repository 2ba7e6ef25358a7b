// api_error.h — how the server says no: a status, OpenAI's `error` object, and the one table that
// makes it of an Error.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/json/json.h"

namespace ropewalk::serve {

class ApiError : public std::exception {
 public:
  // `code` is text that programs compare, `message` a sentence, `param` the field at fault or
  // empty.
  ApiError(int status, std::string_view code, std::string message, std::string_view param);

  int status() const { return status_; }
  const std::string& code() const { return code_; }
  const std::string& param() const { return param_; }
  const char* what() const noexcept override { return message_.c_str(); }
  // Seconds of a Retry-After header; 0: none.
  int retry_after() const { return retry_after_; }

  ApiError& with(std::string_view member, Json value);  // beside `code` in the error object
  ApiError& retry_in(int seconds);

  // {"error":{"message":S,"type":T,"param":P|null,"code":C}}
  Json json() const;

 private:
  int status_;
  std::string code_, message_, param_;
  Json members_ = Json::object();
  int retry_after_ = 0;
};

// `error` by the table of exit codes. What went wrong inside is a 500, whatever the file.
ApiError api_error(const Error& error);

// OpenAI's `type` for a status.
std::string_view error_type(int status);

}  // namespace ropewalk::serve
