#include "core/serve/api_error.h"

#include <array>
#include <utility>

#include "core/json/json.h"

namespace ropewalk::serve {
namespace {

struct Row {
  ExitCode exit;
  int status;
  std::string_view code;
  int retry_after = 0;
};

constexpr std::array kRows = {
    Row{ExitCode::ok, 500, "internal"},
    Row{ExitCode::usage, 400, "invalid_value"},
    Row{ExitCode::model, 500, "internal"},
    Row{ExitCode::plugin, 500, "plugin_failed"},
    Row{ExitCode::no_device, 503, "device_lost", 5},
    Row{ExitCode::out_of_memory, 503, "cache_exhausted", 1},
    Row{ExitCode::device_lost, 503, "device_lost", 5},
    Row{ExitCode::output, 500, "internal"},
    Row{ExitCode::non_finite, 500, "non_finite"},
    Row{ExitCode::limit, 400, "context_length_exceeded"},
};

// Of "top_p: sampling: top-p: p: found 7, ..." the field.
std::string_view field_of(std::string_view message) {
  const std::string_view field = message.substr(0, message.find(':'));
  return field.find(' ') == std::string_view::npos ? field : "";
}

}  // namespace

ApiError::ApiError(int status, std::string_view code, std::string message, std::string_view param)
    : status_(status), code_(code), message_(std::move(message)), param_(param) {}

ApiError& ApiError::with(std::string_view member, Json value) {
  members_[std::string(member)] = std::move(value);
  return *this;
}

ApiError& ApiError::retry_in(int seconds) {
  retry_after_ = seconds;
  return *this;
}

Json ApiError::json() const {
  Json error = {{"message", message_},
                {"type", error_type(status_)},
                {"param", param_.empty() ? Json(nullptr) : Json(param_)},
                {"code", code_}};
  error.update(members_);
  return {{"error", std::move(error)}};
}

ApiError api_error(const Error& error) {
  for (const Row& row : kRows) {
    if (row.exit != error.code()) continue;
    const bool usage = row.exit == ExitCode::usage;
    ApiError made(row.status, row.code, error.what(), usage ? field_of(error.what()) : "");
    return made.retry_in(row.retry_after);
  }
  return ApiError(500, "internal", error.what(), "");
}

std::string_view error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 408:
      return "timeout_error";
    case 429:
      return "rate_limit_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

}  // namespace ropewalk::serve
