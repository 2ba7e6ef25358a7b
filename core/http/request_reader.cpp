// The only user of Boost.Beast.
#include "core/http/request_reader.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <cctype>
#include <utility>

#include "core/http/head_scan.h"
#include "core/http/refused.h"
#include "core/http/target.h"

namespace ropewalk::http {
namespace {

namespace beast = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

constexpr size_t kChunkLine = 1u << 10;   // bytes of a chunk's size line, with all trailers
constexpr size_t kExtensions = 4u << 10;  // bytes of all chunk extensions of a body

std::string_view std_view(string_view text) { return {text.data(), text.size()}; }

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

bool is_length(std::string_view value) {
  return !value.empty() && value.size() <= 18 &&
         std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Whether the version is well formed but neither 1.0 nor 1.1, as in HTTP/2's preface.
bool asks_for_other_version(std::string_view head) {
  const std::string_view line = head.substr(0, head.find('\r'));
  const size_t at = line.rfind(" HTTP/");
  if (at == std::string_view::npos || line.size() != at + 9 || line[at + 7] != '.') return false;
  return !line.ends_with("1.0") && !line.ends_with("1.1");
}

void check_line(size_t bytes) {
  if (bytes > kChunkLine)
    refuse_malformed("request body: a chunk's size line, or trailers, of more than " +
                     std::to_string(kChunkLine) + " bytes");
}

[[noreturn]] void refuse_body(const Limits& limits) {
  refuse(413, "body_too_large",
         "request body: more than " + std::to_string(limits.body) + " bytes");
}

}  // namespace

// Fills a Request from Beast's callbacks. Refusals are thrown; the parser is not used after one.
class RequestReader::Parser : public beast::basic_parser<true> {
 public:
  Parser(Request& request, const Limits& limits) : request_(request) {
    header_limit(limits.request_line + limits.header_bytes + 4 * limits.headers + 1024);
    body_limit(boost::none);  // once the head has been read
    eager(false);
  }

  int version() const { return version_; }  // 10 or 11

 private:
  void on_request_impl(beast::verb, string_view method, string_view target, int version,
                       error_code&) override {
    request_.method = std_view(method);
    request_.target = std_view(target);
    version_ = version;
  }

  void on_field_impl(beast::field field, string_view name, string_view value,
                     error_code&) override {
    if (is_header_done()) return;  // a trailer must not pass for a header
    request_.headers.push_back(
        {.name = lower(std_view(name)), .value = std::string(std_view(value))});
    if (field == beast::field::content_length) check_length(std_view(value));
    if (field == beast::field::transfer_encoding) check_encoding(std_view(value));
    if (lengths_ + encodings_ > 1)
      refuse_malformed(
          "request headers: found more than one of Content-Length and Transfer-Encoding");
    if (field == beast::field::host && ++hosts_ > 1)
      refuse_malformed("request headers: found more than one Host");
  }

  void check_length(std::string_view value) {
    ++lengths_;
    if (!is_length(value))
      refuse_malformed("Content-Length: found " + in_quotes(value) + ", expected a number");
  }

  void check_encoding(std::string_view value) {
    ++encodings_;
    if (lower(value) != "chunked")
      refuse_malformed("Transfer-Encoding: found " + in_quotes(value) + ", expected chunked");
  }

  void on_chunk_header_impl(uint64_t, string_view extension, error_code&) override {
    const auto control = [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; };
    if (std::any_of(extension.begin(), extension.end(), control))
      refuse_malformed("request body: found a control byte in a chunk extension");
    extensions_ += extension.size();
    if (extensions_ > kExtensions)
      refuse_malformed("request body: chunk extensions of more than " +
                       std::to_string(kExtensions) + " bytes");
  }

  size_t on_body_impl(string_view body, error_code&) override {
    request_.body += std_view(body);
    return body.size();
  }
  size_t on_chunk_body_impl(uint64_t, string_view body, error_code&) override {
    request_.body += std_view(body);
    return body.size();
  }

  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  Request& request_;
  int version_ = 0;
  uint32_t lengths_ = 0, encodings_ = 0, hosts_ = 0;
  size_t extensions_ = 0;
};

RequestReader::RequestReader(const Limits& limits) : limits_(limits), scan_(limits) {}
RequestReader::~RequestReader() = default;

void RequestReader::append(std::string_view bytes) { buffer_ += bytes; }

void RequestReader::next() {
  request_ = {};
  parser_.reset();
  scan_ = HeadScan(limits_);
  stage_ = Stage::head;
  keep_alive_ = http_1_1_ = expects_continue_ = false;
}

RequestReader::Event RequestReader::advance() {
  if (stage_ == Stage::head) {
    if (!scan_.scan(buffer_)) return Event::more;
    read_head();
    return Event::head;
  }
  if (stage_ == Stage::body) read_body();
  return stage_ == Stage::complete ? Event::complete : Event::more;
}

// Gives the parser `bytes` and returns how many it has consumed: none where it needs more.
size_t RequestReader::put(std::string_view bytes) {
  error_code error;
  const size_t taken = parser_->put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  if (error == beast::error::body_limit) refuse_body(limits_);
  if (error == beast::error::bad_version && asks_for_other_version(bytes))
    refuse(505, "http_version", "request line: expected HTTP/1.1");
  if (error && error != beast::error::need_more) refuse_malformed("request: " + error.message());
  if (parser_->is_done()) stage_ = Stage::complete;
  return taken;
}

void RequestReader::read_head() {
  stage_ = Stage::body;
  parser_ = std::make_unique<Parser>(request_, limits_);
  const std::string_view head(buffer_.data() + scan_.begin(), scan_.end() - scan_.begin());
  put(head);
  if (!parser_->is_header_done()) refuse_malformed("request head: not understood");
  buffer_.erase(0, scan_.end());
  check_head();
  if (parser_->content_length().value_or(0) > limits_.body) refuse_body(limits_);
  parser_->body_limit(limits_.body);
}

void RequestReader::check_head() {
  http_1_1_ = parser_->version() == 11;
  keep_alive_ = http_1_1_ && parser_->keep_alive();
  Target target = parse_target(request_.target, request_.method);
  request_.path = std::move(target.path);
  request_.query = std::move(target.query);
  if (http_1_1_ && !request_.header("host")) refuse_malformed("request headers: found no Host");
  if (!target.authority.empty())
    for (Header& header : request_.headers)
      if (header.name == "host") header.value = target.authority;
  if (!http_1_1_ && request_.header("transfer-encoding"))
    refuse_malformed("request headers: found Transfer-Encoding in HTTP/1.0");
  const std::string* const encoding = request_.header("content-encoding");
  if (encoding && lower(*encoding) != "identity")
    refuse(415, "compressed_body",
           "Content-Encoding: found " + in_quotes(*encoding) + ", expected none");
  const std::string* const expect = request_.header("expect");
  if (expect && lower(*expect) != "100-continue")
    refuse(417, "expectation_failed",
           "Expect: found " + in_quotes(*expect) + ", expected 100-continue");
  expects_continue_ = expect && http_1_1_;
}

void RequestReader::read_body() {
  size_t taken = 0;
  while (stage_ == Stage::body && taken < buffer_.size()) {
    const size_t body = request_.body.size();
    const size_t now = put(std::string_view(buffer_).substr(taken));
    const bool is_line = request_.body.size() == body;
    if (is_line) check_line(now);
    if (now == 0) break;
    taken += now;
  }
  buffer_.erase(0, taken);
  // All bytes of the chunk itself have been consumed: the rest is an incomplete line.
  if (stage_ == Stage::body) check_line(buffer_.size());
}

}  // namespace ropewalk::http
