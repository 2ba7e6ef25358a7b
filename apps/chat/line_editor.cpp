#include "apps/chat/line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <locale.h>

#include <cstdio>
#include <new>
#include <string_view>

namespace ropewalk {
namespace {

constexpr int kHistory = 1000;

char* prompt(EditLine*) {
  static char text[] = "> ";
  return text;
}

// libedit splits characters by the locale's rules. Input is UTF-8 whatever the locale says; without
// a UTF-8 locale libedit would drop bytes of it.
void take_utf8() {
  setlocale(LC_CTYPE, "");
  if (nl_langinfo(CODESET) != std::string_view("UTF-8")) setlocale(LC_CTYPE, "C.UTF-8");
}

}  // namespace

struct LineEditor::Terminal {
  EditLine* editor = nullptr;
  History* history = nullptr;
  HistEvent event = {};
};

LineEditor::LineEditor() : terminal_(std::make_unique<Terminal>()) {
  take_utf8();
  Terminal& t = *terminal_;
  t.editor = el_init("ropewalk", stdin, stderr, stderr);
  t.history = history_init();
  if (!t.editor || !t.history) throw std::bad_alloc();
  history(t.history, &t.event, H_SETSIZE, kHistory);
  history(t.history, &t.event, H_SETUNIQUE, 1);
  el_set(t.editor, EL_PROMPT, &prompt);
  el_set(t.editor, EL_EDITOR, "emacs");
  el_set(t.editor, EL_SIGNAL, 1);  // restores the terminal before a signal ends the program
  el_set(t.editor, EL_HIST, &history, t.history);
  el_source(t.editor, nullptr);  // the user's ~/.editrc
}

LineEditor::~LineEditor() {
  history_end(terminal_->history);
  el_end(terminal_->editor);
}

bool LineEditor::next(std::string& line) {
  // libedit prints the prompt before it sets the terminal. A Ctrl-D in between would be lost.
  el_set(terminal_->editor, EL_PREP_TERM, 1);
  int count = 0;
  const char* text = el_gets(terminal_->editor, &count);
  if (!text || count <= 0) {
    std::fputs("\n", stderr);  // after Ctrl-D the shell's prompt begins a line
    return false;
  }
  line.assign(text, static_cast<size_t>(count));
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  if (line.find_first_not_of(' ') != std::string::npos)
    history(terminal_->history, &terminal_->event, H_ENTER, line.c_str());
  return true;
}

}  // namespace ropewalk
