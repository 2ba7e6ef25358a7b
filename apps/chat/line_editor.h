// line_editor.h — lines from a terminal, with editing and a history; the only user of libedit.
//
// Prompt and echo go to stderr, so that stdout carries the answers alone. One at a time; it owns
// the terminal's settings while next() waits, and gives them back when a signal ends the program.
#pragma once

#include <memory>
#include <string>

namespace ropewalk {

class LineEditor {
 public:
  LineEditor();
  ~LineEditor();

  // Without its end. False at the end of the input. Blank lines are not remembered.
  bool next(std::string& line);

 private:
  struct Terminal;
  std::unique_ptr<Terminal> terminal_;
};

}  // namespace ropewalk
