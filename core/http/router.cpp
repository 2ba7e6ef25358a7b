#include "core/http/router.h"

#include <optional>
#include <utility>

namespace ropewalk::http {
namespace {

// The part of `path` that matches the '*' of `pattern`; nullopt where the two do not match.
std::optional<std::string_view> rest_of(std::string_view path, std::string_view pattern) {
  if (!pattern.ends_with('*')) {
    if (path != pattern) return std::nullopt;
    return std::string_view{};
  }
  pattern.remove_suffix(1);
  if (path.size() <= pattern.size() || !path.starts_with(pattern)) return std::nullopt;
  return path.substr(pattern.size());
}

void add_method(std::string& list, std::string_view method) {
  if ((", " + list + ",").find(", " + std::string(method) + ",") != std::string::npos) return;
  list += (list.empty() ? "" : ", ") + std::string(method);
}

}  // namespace

Router::Router(std::vector<Route> routes) : routes_(std::move(routes)) {}

Router::Match Router::find(std::string_view method, std::string_view path) const {
  Match match;
  for (const Route& route : routes_) {
    const std::optional<std::string_view> rest = rest_of(path, route.path);
    if (!rest && path != "*") continue;
    add_method(match.allow, route.method);
    if (route.method == "GET") add_method(match.allow, "HEAD");
    const bool takes = method == route.method || (method == "HEAD" && route.method == "GET");
    if (!takes || match.route || !rest) continue;
    match.route = &route;
    match.rest = *rest;
  }
  if (!match.allow.empty()) add_method(match.allow, "OPTIONS");
  return match;
}

}  // namespace ropewalk::http
