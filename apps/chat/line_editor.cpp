#include "apps/chat/line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cwchar>
#include <new>
#include <optional>
#include <string_view>

#include "apps/signals.h"

namespace ropewalk {
namespace {

constexpr int kHistory = 1000;
constexpr int kWaitMilliseconds = 100;
constexpr size_t kMaxPaste = size_t{1} << 20;
// A terminal puts \x1b[200~ and this around a text that is pasted, until it is asked not to.
constexpr std::wstring_view kPasteEnd = L"\x1b[201~";
constexpr std::string_view kNoMarks = "\x1b[?2004l";

// With what asks for pasted texts to be marked, between two kUnseen because it has no width.
constexpr char kUnseen = '\1';
char* prompt(EditLine*) {
  static char text[] = "> \1\x1b[?2004h\1";
  return text;
}

// libedit splits characters by the locale's rules. Input is UTF-8 whatever the locale says; without
// a UTF-8 locale libedit would drop bytes of it.
void take_utf8() {
  setlocale(LC_CTYPE, "");
  if (nl_langinfo(CODESET) != std::string_view("UTF-8")) setlocale(LC_CTYPE, "C.UTF-8");
}

void show(std::string_view text) { (void)!write(STDERR_FILENO, text.data(), text.size()); }

// What all of them begin with.
std::string common_start(const std::vector<std::string>& texts) {
  std::string start = texts.front();
  for (const std::string& text : texts)
    start.resize(static_cast<size_t>(
        std::mismatch(start.begin(), start.end(), text.begin(), text.end()).first - start.begin()));
  return start;
}

}  // namespace

struct LineEditor::Terminal {
  EditLine* editor = nullptr;
  History* history = nullptr;
  HistEvent event = {};
  std::filesystem::path history_file;
  Completions completions;
  std::optional<StopRequest> stop;  // while a line is waited for
  bool pressed = false;             // Ctrl-C, with no line since
  int signal = 0;

  static Terminal& of(EditLine* editor) {
    void* data = nullptr;
    el_get(editor, EL_CLIENTDATA, &data);
    return *static_cast<Terminal*>(data);
  }
  static int read_character(EditLine* editor, wchar_t* out);
  static unsigned char paste(EditLine* editor, int);
  static unsigned char complete(EditLine* editor, int);
};

// libedit's own tries again after a signal, and so would not notice Ctrl-C.
int LineEditor::Terminal::read_character(EditLine* editor, wchar_t* out) {
  std::mbstate_t state{};
  while (true) {
    // A Ctrl-C just before the wait would not interrupt it, so the wait is short.
    if (of(editor).stop->flag()) return -1;
    pollfd input{STDIN_FILENO, POLLIN, 0};
    const int ready = poll(&input, 1, kWaitMilliseconds);
    if (ready < 0 && errno != EINTR) return -1;
    if (ready < 0 && !of(editor).stop->flag())
      el_set(editor, EL_REFRESH);  // the window has another size, or the program was continued
    if (ready <= 0) continue;
    char byte = 0;
    const ssize_t count = read(STDIN_FILENO, &byte, 1);
    if (count == 0) return 0;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    const size_t length = std::mbrtowc(out, &byte, 1, &state);
    if (length == static_cast<size_t>(-2)) continue;  // the character goes on
    if (length == static_cast<size_t>(-1)) *out = L'?';
    return 1;
  }
}

unsigned char LineEditor::Terminal::paste(EditLine* editor, int) {
  std::wstring text;
  wchar_t character = 0;
  while (!text.ends_with(kPasteEnd) && text.size() < kMaxPaste && el_wgetc(editor, &character) == 1)
    text += character == L'\r' ? L'\n' : character;
  if (text.ends_with(kPasteEnd)) text.resize(text.size() - kPasteEnd.size());
  std::erase_if(text, [](wchar_t c) { return c != L'\n' && c != L'\t' && c >= 0 && c < L' '; });
  while (text.ends_with(L'\n')) text.pop_back();
  if (text.empty() || el_winsertstr(editor, text.c_str()) != 0) return CC_ERROR;
  return CC_REFRESH;
}

unsigned char LineEditor::Terminal::complete(EditLine* editor, int) {
  const LineInfo* line = el_line(editor);
  const std::string_view begun(line->buffer, static_cast<size_t>(line->cursor - line->buffer));
  const std::vector<std::string> found = of(editor).completions(begun);
  if (found.empty()) return CC_ERROR;
  const std::string start = common_start(found);
  if (start.size() > begun.size()) {
    const std::string rest = start.substr(begun.size());
    return el_insertstr(editor, rest.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
  }
  std::string list = "\n";
  for (const std::string& text : found) list += text + "  ";
  show(list + "\n");
  return CC_REDISPLAY;
}

LineEditor::LineEditor(std::filesystem::path history_file, Completions completions)
    : terminal_(std::make_unique<Terminal>()) {
  take_utf8();
  Terminal& t = *terminal_;
  t.history_file = std::move(history_file);
  t.completions = std::move(completions);
  t.editor = el_init("ropewalk", stdin, stderr, stderr);
  t.history = history_init();
  if (!t.editor || !t.history) throw std::bad_alloc();
  history(t.history, &t.event, H_SETSIZE, kHistory);
  history(t.history, &t.event, H_SETUNIQUE, 1);
  if (!t.history_file.empty()) history(t.history, &t.event, H_LOAD, t.history_file.c_str());
  el_set(t.editor, EL_CLIENTDATA, terminal_.get());
  el_set(t.editor, EL_GETCFN, &Terminal::read_character);
  el_set(t.editor, EL_PROMPT_ESC, &prompt, kUnseen);
  el_set(t.editor, EL_EDITOR, "emacs");
  el_set(t.editor, EL_HIST, &history, t.history);
  el_set(t.editor, EL_ADDFN, "rw-paste", "Takes a pasted text as it is", &Terminal::paste);
  el_set(t.editor, EL_ADDFN, "rw-complete", "Completes a command", &Terminal::complete);
  el_set(t.editor, EL_BIND, "\x1b[200~", "rw-paste", nullptr);
  el_set(t.editor, EL_BIND, "\t", "rw-complete", nullptr);
  el_source(t.editor, nullptr);  // the user's ~/.editrc
}

LineEditor::~LineEditor() {
  Terminal& t = *terminal_;
  if (!t.history_file.empty()) {
    const mode_t others = umask(077);  // what was typed is the user's alone
    history(t.history, &t.event, H_SAVE, t.history_file.c_str());
    umask(others);
  }
  history_end(t.history);
  el_end(t.editor);
}

LineEditor::Input LineEditor::next(std::string& line) {
  Terminal& t = *terminal_;
  t.stop.emplace();
  el_resize(t.editor);  // the window may be another by now
  // libedit prints the prompt before it sets the terminal. A Ctrl-D in between would be lost.
  el_set(t.editor, EL_PREP_TERM, 1);
  int count = 0;
  const char* text = el_gets(t.editor, &count);
  show(kNoMarks);
  t.signal = t.stop->signal();
  t.stop.reset();
  if (t.signal == SIGTERM || t.signal == SIGHUP || (t.signal == SIGINT && t.pressed)) {
    show("\n");
    return Input::stopped;
  }
  if (t.signal == SIGINT) {
    t.pressed = true;
    el_reset(t.editor);
    show("\n(Ctrl-C again leaves)\n");
    return Input::cleared;
  }
  if (!text || count <= 0) {
    show("\n");  // after Ctrl-D the shell's prompt begins a line
    return Input::end;
  }
  line.assign(text, static_cast<size_t>(count));
  t.pressed = false;
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  if (line.find_first_not_of(' ') != std::string::npos)
    history(t.history, &t.event, H_ENTER, line.c_str());
  return Input::line;
}

int LineEditor::signal() const { return terminal_->signal; }

}  // namespace ropewalk
