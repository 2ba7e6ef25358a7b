// router.h — which route a request belongs to.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/http/server.h"

namespace ropewalk::http {

// Immutable, hence safe to share between threads.
class Router {
 public:
  explicit Router(std::vector<Route> routes);

  struct Match {
    const Route* route = nullptr;  // null: none for this method
    std::string rest;              // matches the '*' of its path
    std::string allow;             // the path's methods for an Allow header; empty: unknown path
  };
  Match find(std::string_view method, std::string_view path) const;

 private:
  const std::vector<Route> routes_;
};

}  // namespace ropewalk::http
