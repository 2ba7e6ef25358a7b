#include "core/serve/page/page.h"

#include <fmt/format.h>

#include <iterator>

#include "core/digest/sha256.h"
#include "texts/page.css.h"
#include "texts/page.html.h"
#include "texts/page.js.h"

namespace ropewalk::serve {
namespace {

constexpr std::string_view kHtml(texts::k_page_html, std::size(texts::k_page_html));
constexpr std::string_view kStyle(texts::k_page_css, std::size(texts::k_page_css));
constexpr std::string_view kScript(texts::k_page_js, std::size(texts::k_page_js));

uint32_t digit(char hex) { return static_cast<uint32_t>(hex <= '9' ? hex - '0' : hex - 'a' + 10); }

// Three digits of hexadecimal are two of base 64.
std::string base64_of_hex(std::string hex) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const size_t bytes = hex.size() / 2;
  while (hex.size() % 6 != 0) hex += '0';
  std::string made;
  for (size_t i = 0; i < hex.size(); i += 3) {
    const uint32_t bits = digit(hex[i]) << 8 | digit(hex[i + 1]) << 4 | digit(hex[i + 2]);
    made += kDigits[bits >> 6];
    made += kDigits[bits & 63];
  }
  const size_t padding = (3 - bytes % 3) % 3;
  made.replace(made.size() - padding, padding, padding, '=');
  return made;
}

void replace(std::string& text, std::string_view mark, std::string_view by) {
  text.replace(text.find(mark), mark.size(), by);
}

Page make_page() {
  Page page{.html = std::string(kHtml),
            .policy = fmt::format("default-src 'none'; script-src {}; style-src {}; img-src data:; "
                                  "connect-src 'self'; base-uri 'none'; form-action 'none'; "
                                  "frame-ancestors 'none'; require-trusted-types-for 'script'",
                                  policy_digest(kScript), policy_digest(kStyle))};
  replace(page.html, "@page.css@", kStyle);
  replace(page.html, "@page.js@", kScript);
  return page;
}

}  // namespace

const Page& chat_page() {
  static const Page page = make_page();
  return page;
}

std::string policy_digest(std::string_view text) {
  return fmt::format("'sha256-{}'", base64_of_hex(sha256(text)));
}

}  // namespace ropewalk::serve
