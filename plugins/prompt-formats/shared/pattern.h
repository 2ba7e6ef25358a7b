// pattern.h — a text with a place for a message's content, control tokens and added tokens.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/abi/prompt_format.h"

namespace ropewalk::formats {

inline constexpr std::string_view kContent = "{content}";

// A text of the options, split at {content} and the control tokens.
class Pattern {
 public:
  Pattern(std::string_view text, const std::vector<std::string>& tokens) {
    std::vector<std::string_view> marks = {kContent, "<s>", "</s>"};
    marks.insert(marks.end(), tokens.begin(), tokens.end());
    while (!text.empty()) {
      size_t nearest = text.size();
      std::string_view found;
      for (const std::string_view mark : marks)
        if (const size_t at = text.find(mark); at < nearest) nearest = at, found = mark;
      if (nearest > 0) parts_.emplace_back(text.substr(0, nearest));
      if (!found.empty()) parts_.emplace_back(found);
      text.remove_prefix(nearest + found.size());
    }
    marks_.assign(marks.begin(), marks.end());
  }

  size_t contents() const {
    return static_cast<size_t>(std::count(parts_.begin(), parts_.end(), kContent));
  }

  void emit(std::string_view content, abi::PieceSink& sink) const {
    for (const std::string& part : parts_) emit_part(part, content, sink);
  }

  // Up to the place of the content.
  void emit_empty(abi::PieceSink& sink) const {
    for (size_t i = 0; i < parts_.size() && parts_[i] != kContent; ++i) {
      const bool last = i + 1 < parts_.size() && parts_[i + 1] == kContent;
      const size_t end = last ? parts_[i].find_last_not_of(' ') + 1 : parts_[i].size();
      emit_part(parts_[i].substr(0, end), "", sink);
    }
  }

 private:
  void emit_part(const std::string& part, std::string_view content, abi::PieceSink& sink) const {
    if (part == kContent) return sink.text(content);
    if (part == "<s>") return sink.control(abi::Control::bos);
    if (part == "</s>") return sink.control(abi::Control::eos);
    const bool token = std::find(marks_.begin(), marks_.end(), part) != marks_.end();
    token ? sink.added_token(part) : sink.text(part);
  }

  std::vector<std::string> parts_, marks_;
};

}  // namespace ropewalk::formats
