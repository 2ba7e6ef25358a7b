#include "apps/messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/error.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr size_t kMaxMessages = 100'000;
constexpr std::array<std::string_view, 3> kRoles = {"system", "user", "assistant"};

ChatMessage parse_message(const Json& json, const JsonSource& source, std::string path) {
  const JsonFields fields(json, source, std::move(path));
  const std::string role = fields.text("role");
  const auto found = std::ranges::find(kRoles, role);
  if (found == kRoles.end())
    fields.fail("role",
                fmt::format("found {}, expected system, user or assistant", printable(role)), "");
  return {.role = static_cast<abi::Role>(found - kRoles.begin()),
          .content = fields.text("content")};
}

// `path` leads to the list; empty for the whole document.
std::vector<ChatMessage> parse_list(const Json& json, const JsonSource& source,
                                    const std::string& path) {
  if (!json.is_array() || json.size() > kMaxMessages)
    throw Error(source.code, source.file,
                fmt::format("{}expected a list of at most {} messages",
                            path.empty() ? "" : path + ": ", kMaxMessages),
                R"(Write [{"role": "user", "content": "..."}])");
  std::vector<ChatMessage> messages;
  for (const Json& message : json)
    messages.push_back(
        parse_message(message, source, fmt::format("{}[{}]", path, messages.size())));
  return messages;
}

// Undo and retry need this order, whatever the prompt format accepts.
void check_turns(const std::vector<ChatMessage>& messages, const JsonSource& source) {
  const size_t first = !messages.empty() && messages[0].role == abi::Role::system ? 1 : 0;
  for (size_t i = first; i < messages.size(); ++i) {
    const auto expected = (i - first) % 2 == 0 ? abi::Role::user : abi::Role::assistant;
    if (messages[i].role != expected)
      throw Error(source.code, source.file,
                  fmt::format("messages[{}].role: found {}, expected {}", i,
                              kRoles[static_cast<size_t>(messages[i].role)],
                              kRoles[static_cast<size_t>(expected)]),
                  "Load what /save wrote");
  }
  if (!messages.empty() && messages.back().role == abi::Role::user)
    throw Error(source.code, source.file, "its last message is a user's, expected a reply to it",
                "Load what /save wrote");
}

}  // namespace

std::vector<ChatMessage> parse_messages(std::string_view text, const std::string& file) {
  const JsonSource source{file, ExitCode::usage};
  return parse_list(parse_json(text, source), source, "");
}

std::vector<ChatMessage> parse_conversation(std::string_view text, const std::string& file) {
  const JsonSource source{file, ExitCode::usage};
  const Json json = parse_json(text, source);
  if (!json.is_object() || json.value("ropewalk_chat", Json(nullptr)) != 1)
    throw Error(source.code, file, "it has no \"ropewalk_chat\": 1, expected a saved conversation",
                "Load what /save wrote");
  std::vector<ChatMessage> messages =
      parse_list(json.value("messages", Json(nullptr)), source, "messages");
  check_turns(messages, source);
  return messages;
}

std::string conversation_text(const std::vector<ChatMessage>& messages) {
  Json list = Json::array();
  for (const ChatMessage& message : messages)
    list.push_back(
        {{"role", kRoles[static_cast<size_t>(message.role)]}, {"content", message.content}});
  return Json{{"ropewalk_chat", 1}, {"messages", list}}.dump(1) + "\n";
}

std::vector<ChatMessage> with_system(const TextSide& text, const Config& config,
                                     std::vector<ChatMessage> messages) {
  const bool has_system = !messages.empty() && messages.front().role == abi::Role::system;
  const bool configured = config.prompt.system || !text.system().empty();
  if (!has_system && configured)
    messages.insert(messages.begin(), {.role = abi::Role::system, .content = text.system()});
  return messages;
}

}  // namespace ropewalk
