#include "core/serve/guard/gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/serve/api_error.h"

namespace ropewalk::serve {
namespace {

// Asked by probes, which have no keys.
constexpr std::array<std::string_view, 5> kPublic = {"/health", "/ready", "/ping", "/live", "/"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return out;
}

// "[::1]:80" and "localhost:80" without the port.
std::string_view without_port(std::string_view host) {
  const size_t bracket = host.rfind(']');
  const size_t colon = host.rfind(':');
  if (colon == std::string_view::npos) return host;
  return bracket != std::string_view::npos && colon < bracket ? host : host.substr(0, colon);
}

bool is_local_name(std::string_view host) {
  const bool numeric = host.find_first_not_of("0123456789.") == std::string_view::npos;
  return host == "localhost" || host == "[::1]" || (numeric && host.starts_with("127."));
}

std::string_view bearer(const http::Request& request) {
  if (const std::string* header = request.header("authorization")) {
    const std::string_view value = *header;
    if (lower(value.substr(0, 7)) == "bearer ") return value.substr(7);
  }
  const std::string* key = request.header("x-api-key");
  return key ? std::string_view(*key) : std::string_view{};
}

}  // namespace

bool is_local(const std::string& listen) {
  return listen.starts_with("unix:") || listen.starts_with("127.") || listen.starts_with("[::1]:");
}

void check_exposure(const ServeConfig& serve, const Keys& keys) {
  if (is_local(serve.listen) || keys.any() || serve.anonymous) return;
  throw Error(ExitCode::usage, "serve.listen",
              fmt::format("{} can be reached from other machines, and there are no API keys",
                          printable(serve.listen)),
              "Set serve.keys.file or ROPEWALK_API_KEYS, or serve.anonymous: true");
}

Gate::Gate(const ServeConfig& serve, Keys keys)
    : serve_(serve), local_(is_local(serve.listen)), keys_(std::move(keys)) {}

// A page of another site can point its own name at 127.0.0.1, but not change the Host header.
void Gate::check_host(const http::Request& request) const {
  if (!local_ || keys_.any() || serve_.listen.starts_with("unix:")) return;
  const std::string* header = request.header("host");
  const std::string host = lower(without_port(header ? *header : ""));
  if (is_local_name(host) || std::ranges::find(serve_.hosts, host) != serve_.hosts.end()) return;
  throw ApiError(403, "host_not_allowed",
                 fmt::format("Host: found \"{}\", expected a local name or one of serve.hosts.",
                             printable(host, 64)),
                 "");
}

bool Gate::is_public(const http::Request& request) const {
  return std::ranges::find(kPublic, request.path) != kPublic.end() ||
         (local_ && request.path == "/metrics");
}

std::string Gate::pass(const http::Request& request) {
  const std::lock_guard lock(mutex_);
  keys_.refresh();
  check_host(request);
  if (!keys_.any()) return "";
  const std::optional<uint32_t> key = keys_.find(bearer(request));
  if (!key && !is_public(request))
    throw ApiError(401, "invalid_api_key",
                   "Authorization: found no valid API key, expected Bearer KEY.", "");
  return key ? keys_.name(*key) : "";
}

Caller Gate::caller(const http::Request& request) const {
  const std::lock_guard lock(mutex_);
  const std::optional<uint32_t> key = keys_.find(bearer(request));
  if (!key) return {};
  const std::string& digest = keys_.digest(*key);
  const auto number = static_cast<uint32_t>(numbers_.size() + 1);
  return {numbers_.try_emplace(digest, number).first->second, digest};
}

void Gate::reload_keys() {
  const std::lock_guard lock(mutex_);
  keys_.reload();
}

bool Gate::has_strangers() const {
  const std::lock_guard lock(mutex_);
  return keys_.count() > 1;
}

}  // namespace ropewalk::serve
