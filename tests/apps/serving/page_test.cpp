// The chat page in a browser: Debian's chromium, driven by chromedriver. Skipped where they are
// missing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/apps/serving/running_server.h"
#include "tests/apps/small_model.h"
#include "tests/patience.h"

namespace ropewalk::test {
namespace {

constexpr const char* kDriver = "/usr/bin/chromedriver";
constexpr const char* kEnter = "\uE007";
constexpr const char* kEscape = "\uE00C";

// A window of its own browser, by the WebDriver protocol. `dark`: what the user prefers.
class Browser {
 public:
  Browser() {
    const std::string log = (folder_.path() / "log").string();
    driver_ = fork();
    if (driver_ == 0) {
      setpgid(0, 0);
      if (!freopen(log.c_str(), "w", stdout)) _exit(127);
      execl(kDriver, kDriver, "--port=0", nullptr);
      _exit(127);
    }
    // "ChromeDriver was started successfully on port 46571."
    constexpr std::string_view kStarted = "successfully on port ";
    EXPECT_TRUE(eventually([&] {
      const std::string said = read_file(log);
      const size_t at = said.find(kStarted);
      const size_t end = said.find('.', at);
      if (at == std::string::npos || end == std::string::npos) return false;
      port_ = said.substr(at + kStarted.size(), end - at - kStarted.size());
      return true;
    }));
    const Json made = call("POST", "/session",
                           {{"capabilities",
                             {{"alwaysMatch",
                               {{"goog:loggingPrefs", {{"browser", "ALL"}}},
                                {"goog:chromeOptions",
                                 {{"args",
                                   {"--headless=new", "--no-sandbox", "--disable-gpu",
                                    "--disable-dev-shm-usage", "--window-size=900,700"}}}}}}}}});
    session_ = "/session/" + made.value("sessionId", "");
  }
  ~Browser() {
    call("DELETE", session_, nullptr);
    kill(driver_, SIGTERM);
    waitpid(driver_, nullptr, 0);
  }
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  void open(const std::string& url) { call("POST", session_ + "/url", {{"url", url}}); }
  // What the body of a function returns in the page.
  Json run(const std::string& script) {
    return call("POST", session_ + "/execute/sync", {{"script", script}, {"args", Json::array()}});
  }
  void type(const std::string& selector, const std::string& text) {
    const Json element =
        call("POST", session_ + "/element", {{"using", "css selector"}, {"value", selector}});
    if (element.empty()) return;
    call("POST", session_ + "/element/" + element.begin()->get<std::string>() + "/value",
         {{"text", text}});
  }
  bool wait_for(const std::string& condition) {
    return eventually([&] { return run("return !!(" + condition + ")") == true; });
  }
  // What a user reads, for a message.
  std::string shown() { return run("return document.body.innerText").dump(); }
  Json console() { return call("POST", session_ + "/se/log", {{"type", "browser"}}); }

 private:
  // The driver refuses a Host that is not local.
  std::string head(const std::string& method, const std::string& path) const {
    return method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + port_ + "\r\n";
  }
  Json call(const std::string& method, const std::string& path, const Json& body) const {
    const std::string text = body.is_null() ? "{}" : body.dump();
    const Answer answer =
        Client("127.0.0.1:" + port_)
            .ask(head(method, path) + "Content-Type: application/json\r\nContent-Length: " +
                 std::to_string(text.size()) + "\r\n\r\n" + text);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.status == 200 ? Json::parse(answer.body)["value"] : Json::object();
  }

  const TemporaryFolder folder_;
  std::string port_;
  std::string session_;
  pid_t driver_ = -1;
};

class Page : public testing::Test {
 protected:
  void SetUp() override {
    if (access(kDriver, X_OK) != 0) GTEST_SKIP() << "no chromedriver";
  }
};

TEST_F(Page, SendsStreamsAndStops) {
  const TemporaryFolder folder;
  const RunningServer server(
      write_small_config(folder.path(), {.layers = 8, .hidden = 256, .context = 16384}),
      {"--set", "generation.max_new_tokens=16000", "--set", "serve.max_sequences=1"});
  Browser browser;
  browser.open("http://" + server.address + "/");
  ASSERT_TRUE(browser.wait_for("!document.getElementById('send').disabled"));
  EXPECT_EQ(browser.run("return document.querySelector('h1').textContent"), "model");
  EXPECT_EQ(browser.run("return document.getElementById('facts').textContent"),
            "context 16,384 tokens");
  // The lengths that the reply has, as they are seen. Before it is asked for: on a busy machine a
  // reply could be over before this call has reached the browser.
  browser.run(R"(
    window.seen = [];
    new MutationObserver(() => {
      const text = document.querySelector('article.assistant .text');
      if (text && text.textContent.length !== seen.at(-1)) seen.push(text.textContent.length);
    }).observe(document.getElementById('log'), {subtree: true, childList: true});
  )");
  browser.type("#text", std::string("what is a rope") + kEnter);
  EXPECT_TRUE(browser.wait_for("seen.length >= 3"));
  EXPECT_EQ(server.metric("vllm:num_requests_running"), 1);
  browser.type("#text", kEscape);
  EXPECT_TRUE(browser.wait_for("document.querySelector('article.assistant .note').textContent"));
  EXPECT_TRUE(server.reaches("vllm:num_requests_running", 0));
  EXPECT_EQ(server.metric("vllm:num_requests_waiting"), 0);
  EXPECT_EQ(browser.run("return document.querySelector('article.assistant .note').textContent"),
            "stopped");
  EXPECT_EQ(browser.console(), Json::array());  // nothing broke the policy
}

// By keys alone: a field, what explain says of it, a reply, the message edited, asked again.
TEST_F(Page, IsUsedByKeysAlone) {
  const TemporaryFolder folder;
  const RunningServer server(write_small_config(folder.path(), {}));
  Browser browser;
  browser.open("http://" + server.address + "/");
  ASSERT_TRUE(browser.wait_for("!document.getElementById('send').disabled"));
  browser.run("document.getElementById('toggle').click()");
  browser.type("[name=max_tokens]", "6");
  browser.type("[name=seed]", "7");  // without it the end token could come before the sixth
  browser.type("[name=temperature]", "warm");
  EXPECT_TRUE(browser.wait_for("document.getElementById('problem').textContent"));
  EXPECT_EQ(browser.run("return document.querySelector('[name=temperature]').ariaInvalid"), "true");
  browser.run("document.querySelector('[name=temperature]').value = ''");
  browser.type("[name=temperature]", "0.5");
  EXPECT_TRUE(browser.wait_for("!document.getElementById('problem').textContent"));
  EXPECT_TRUE(
      browser.wait_for("document.getElementById('chain').textContent.includes('temperature 0.5')"));
  browser.type("[name=temperature]", kEscape);
  EXPECT_EQ(browser.run("return document.getElementById('panel').hidden"), true);
  const std::string said =
      "document.querySelector('article.assistant .note').textContent.startsWith('6 tokens')";
  browser.type("#text", std::string("hello") + kEnter);
  EXPECT_TRUE(browser.wait_for(said)) << browser.shown() << server.program->output();
  browser.type("#text", "\uE013");  // up: edits the last message
  browser.type("article.user textarea", std::string(" you") + kEnter);
  EXPECT_TRUE(browser.wait_for(said)) << browser.shown() << server.program->output();
  EXPECT_EQ(browser.run("return document.querySelector('article.user .text').textContent"),
            "hello you");
  EXPECT_EQ(browser.run("return document.querySelectorAll('article').length"), 2);
}

}  // namespace
}  // namespace ropewalk::test
