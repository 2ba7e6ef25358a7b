// line_editor.h — lines from a terminal, with editing and a history; the only user of libedit.
//
// Prompt and echo go to stderr: stdout is for answers only. One object at a time. It owns the
// terminal's settings while next() waits, and restores them when a signal ends the program.
#pragma once

#include <memory>
#include <string>

namespace ropewalk {

class LineEditor {
 public:
  LineEditor();
  ~LineEditor();

  // A line without its line end. False at the end of the input. The history skips blank lines.
  bool next(std::string& line);

 private:
  struct Terminal;
  std::unique_ptr<Terminal> terminal_;
};

}  // namespace ropewalk
