// page.h — the page at `/`: a conversation with the model, in one document that loads nothing else.
//
// page.html, page.css and page.js are put together here. The page uses the same endpoints as every
// client and keeps what is said, and the key, in the browser's memory alone.
#pragma once

#include <string>
#include <string_view>

namespace ropewalk::serve {

struct Page {
  std::string html;
  // A Content-Security-Policy under which nothing runs but the page's own script, by its digest,
  // and nothing is loaded or asked but this server.
  std::string policy;
};

// Made once. Any thread may call it.
const Page& chat_page();

// 'sha256-...', as a policy names the text of a script or style element.
std::string policy_digest(std::string_view text);

}  // namespace ropewalk::serve
