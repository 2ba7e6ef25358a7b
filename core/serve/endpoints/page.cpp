#include "core/serve/page/page.h"

#include "core/serve/endpoints/endpoints.h"

namespace ropewalk::serve {

http::Response page(Service&, const http::Request&) {
  return {.content_type = "text/html; charset=utf-8",
          .headers = {{"Content-Security-Policy", chat_page().policy},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cache-Control", "no-cache"}},
          .body = chat_page().html};
}

}  // namespace ropewalk::serve
