#include "apps/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "apps/output.h"
#include "core/base/bytes.h"
#include "core/base/standing_line.h"

namespace ropewalk {
namespace {

constexpr std::chrono::milliseconds kBetween(200);
constexpr size_t kMinBar = 8, kMaxBar = 30;  // columns, without its brackets

size_t terminal_columns() {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }

size_t width_of(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, begins_character));
}

// The first `columns` characters, without blanks at their end.
std::string_view cut(std::string_view text, size_t columns) {
  size_t end = 0;
  for (size_t width = 0; end < text.size(); ++end)
    if (begins_character(text[end]) && width++ == columns) break;
  text = text.substr(0, end);
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

// The same in whole words: half a number is another number. "365 MiB of" is of nothing.
std::string_view cut_to_words(std::string_view text, size_t columns) {
  constexpr std::string_view kOf = " of";
  std::string_view start = cut(text, columns);
  if (start.size() == text.size()) return start;
  if (text[start.size()] != ' ') start = start.substr(0, start.rfind(' ') + 1);  // 0: no space
  start = start.substr(0, start.find_last_not_of(' ') + 1);
  if (start.ends_with(kOf)) start.remove_suffix(kOf.size());
  return start;
}

std::string bar(double share, size_t room) {
  if (room < kMinBar) return "";
  const size_t width = std::min(room, kMaxBar);
  const auto filled = static_cast<size_t>(share * static_cast<double>(width));
  return fmt::format(" [{}{}]", std::string(filled, '#'), std::string(width - filled, '.'));
}

}  // namespace

std::string progress_text(const ProgressLine& line, size_t columns) {
  const double share = std::clamp(line.share, 0.0, 1.0);
  const std::string percent = fmt::format("{:3.0f} %", 100 * share);
  const std::string left = line.left.empty() ? "" : fmt::format("  {} left", line.left);
  size_t room = columns - std::min(columns, percent.size() + left.size() + 1);
  const auto take = [&room](size_t width) { room -= std::min(room, width); };

  std::string title(cut(line.title, room < 1 ? 0 : room - 1));
  if (!title.empty()) title += ' ';
  take(width_of(title));
  std::string text(cut_to_words(line.text, room < 2 ? 0 : room - 2));
  if (!text.empty()) text = "  " + text;
  take(width_of(text));
  return title + percent + bar(share, room < 3 ? 0 : room - 3) + text + left;
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Progress::show(double share, std::string_view text) {
  if (!settings_.where) return;
  const Clock::time_point now = Clock::now();
  if (now - start_ < settings_.patience || now - drawn_ < kBetween) return;
  drawn_ = now;
  on_screen_ = true;
  const std::string left = share > 0 ? clock_text(seconds() / share * (1 - share)) : "?";
  const size_t columns = settings_.columns > 0 ? settings_.columns : terminal_columns();
  *settings_.where << kEraseLine << progress_text({title_, share, text, left}, columns)
                   << std::flush;
  if (settings_.where == &std::cerr) set_standing_line(true);
}

void Progress::show_steps(uint64_t done, uint64_t total) {
  if (total > 0) show(static_cast<double>(done) / static_cast<double>(total), "");
}

void Progress::show_bytes(uint64_t done, uint64_t total) {
  if (total == 0) return;
  if (done < total)
    return show(static_cast<double>(done) / static_cast<double>(total),
                fmt::format("{} of {}", format_bytes(done), format_bytes(total)));
  if (!on_screen_) return;
  clear();
  *settings_.where << fmt::format("{}: {} in {:.1f} s, {:.2f} GB/s\n", title_, format_bytes(total),
                                  seconds(), static_cast<double>(total) / seconds() / 1e9)
                   << std::flush;
}

void Progress::clear() {
  if (on_screen_) *settings_.where << kEraseLine << std::flush;
  if (settings_.where == &std::cerr) set_standing_line(false);
  on_screen_ = false;
  drawn_ = {};
}

Progress::Settings progress_for(const CommonArguments& arguments) {
  const bool wanted = stderr_can_redraw() && !arguments.quiet && !arguments.json;
  return {wanted ? &std::cerr : nullptr, std::chrono::milliseconds(500), 0};
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<unsigned long>(std::clamp(seconds, 0.0, 1e9) + 0.5);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace ropewalk
