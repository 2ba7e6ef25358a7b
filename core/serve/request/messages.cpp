#include "core/serve/request/messages.h"

#include <fmt/format.h>

#include <optional>

#include "core/json/json.h"
#include "core/serve/api_error.h"
#include "core/serve/request/fields.h"

namespace ropewalk::serve {
namespace {

using Role = abi::Role;

Role read_role(Fields& fields, const std::string& path) {
  const std::string name = path + "role";
  const std::optional<std::string> role = fields.text({"role"}, 64);
  if (!role)
    throw ApiError(400, "missing_parameter", name + ": is missing, expected a role.", name);
  if (*role == "system" || *role == "developer") return Role::system;
  if (*role == "user") return Role::user;
  if (*role == "assistant") return Role::assistant;
  if (*role == "tool" || *role == "function")
    throw ApiError(400, "unsupported_content",
                   fmt::format("{}: found {}, which this server does not support.", name, *role),
                   name);
  refuse_value(name, fmt::format("found \"{}\", expected system, developer, user or assistant",
                                 printable(*role, 64)));
}

std::string text_of_part(const Json& part, const std::string& path) {
  Fields fields(part, path);
  const std::optional<std::string> type = fields.text({"type"}, 64);
  if (!type || *type != "text")
    throw ApiError(400, "unsupported_content",
                   fmt::format("{}type: found {}, expected text.", path,
                               type ? printable(*type, 64) : "nothing"),
                   path + "type");
  const auto [name, text] = fields.find({"text"});
  if (!text || !text->is_string())
    throw ApiError(400, "invalid_type", path + "text: expected a text.", path + "text");
  return text->get<std::string>();
}

std::string read_content(Fields& fields, Role role, const std::string& path) {
  const auto [name, content] = fields.find({"content"});
  if (!content) {
    if (role == Role::assistant) return "";
    throw ApiError(400, "missing_parameter", path + "content: is missing, expected a text.",
                   path + "content");
  }
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) refuse_type(name, *content, "a text or a list of parts");
  std::string text;
  size_t index = 0;
  for (const Json& part : *content)
    text += text_of_part(part, fmt::format("{}[{}].", name, index++));
  return text;
}

class Turns {
 public:
  Turns(ChatTurns turns, Told& told) : turns_(turns), told_(told) {}

  void add(ChatMessage message, size_t index) {
    if (message.role == Role::system && !messages_.empty()) return add_late_system(message, index);
    if (!late_system_.empty() && message.role == Role::user) {
      message.content = late_system_ + "\n\n" + message.content;
      late_system_.clear();
    }
    if (!messages_.empty() && messages_.back().role == message.role) {
      complain(index, "has the role of the one before it", "is joined to it");
      messages_.back().content += "\n\n" + message.content;
      return;
    }
    const size_t first = !messages_.empty() && messages_[0].role == Role::system ? 1 : 0;
    if (messages_.size() == first && message.role == Role::assistant && turns_ == ChatTurns::strict)
      complain(index, "is the first and an assistant's", "");
    messages_.push_back(std::move(message));
  }

  std::vector<ChatMessage> take() {
    // No user's message came after it.
    if (!late_system_.empty()) messages_.push_back({Role::user, late_system_});
    return std::move(messages_);
  }

 private:
  void add_late_system(const ChatMessage& message, size_t index) {
    complain(index, "is a system message behind the first", "goes in front of the next user's");
    if (messages_.size() == 1 && messages_[0].role == Role::system) {
      messages_[0].content += "\n\n" + message.content;
      return;
    }
    late_system_ += (late_system_.empty() ? "" : "\n\n") + message.content;
  }

  void complain(size_t index, std::string_view what, std::string_view becomes) {
    const std::string name = fmt::format("messages[{}]", index);
    if (turns_ == ChatTurns::strict)
      refuse_value(name, fmt::format("{}, expected user and assistant in turn", what));
    told_.warnings.push_back(fmt::format("{} {} and {}.", name, what, becomes));
  }

  const ChatTurns turns_;
  Told& told_;
  std::vector<ChatMessage> messages_;
  std::string late_system_;
};

}  // namespace

std::vector<ChatMessage> read_messages(const Json& list, ChatTurns turns, Told& told) {
  if (!list.is_array()) refuse_type("messages", list, "a list of messages");
  if (list.empty() || list.size() > kMaxMessages)
    refuse_value("messages",
                 fmt::format("found {} messages, expected 1 to {}", list.size(), kMaxMessages));
  Turns taken(turns, told);
  for (size_t index = 0; index < list.size(); ++index) {
    const std::string path = fmt::format("messages[{}].", index);
    Fields fields(list[index], path);
    const Role role = read_role(fields, path);
    std::string content = read_content(fields, role, path);
    for (const std::string& name : fields.unread()) {
      const std::string member = name.substr(path.size());
      if (member == "tool_calls" || member == "function_call") {
        if (!list[index][member].empty())
          throw ApiError(400, "unsupported_content", name + ": this server does not support tools.",
                         name);
      } else if (member != "refusal" && member != "annotations") {
        told.warnings.push_back(fmt::format("{} has no effect.", printable(name, 64)));
      }
    }
    taken.add({role, std::move(content)}, index);
  }
  return taken.take();
}

}  // namespace ropewalk::serve
