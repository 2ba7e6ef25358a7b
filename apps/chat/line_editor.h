// line_editor.h — lines from a terminal, with editing and a history; the only user of libedit.
//
// Prompt and echo go to stderr: stdout is for answers only. One object at a time. It owns the
// terminal's settings while next() waits. Ctrl-C clears the line that is being written.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

class LineEditor {
 public:
  // What Tab may put in place of the beginning of a line; ends that may follow are in them.
  using Completions = std::function<std::vector<std::string>(std::string_view begun)>;

  // The history is read from `history` and kept there when the editor ends; empty: it is not kept.
  LineEditor(std::filesystem::path history, Completions completions);
  ~LineEditor();

  // cleared: Ctrl-C took away what was being written; stopped: SIGTERM, SIGHUP, or another Ctrl-C
  // with no line between.
  enum class Input { line, end, cleared, stopped };

  // The line without its end; of several where they were pasted at once. The history skips blank
  // lines.
  Input next(std::string& line);
  int signal() const;  // the one that stopped it

 private:
  struct Terminal;
  std::unique_ptr<Terminal> terminal_;
};

}  // namespace ropewalk
