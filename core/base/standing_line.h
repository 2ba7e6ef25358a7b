// standing_line.h — a line without an end that stands on the terminal, as a progress bar does.
//
// A note or warning takes it away first, and does not stand behind it. Thread-safe.
#pragma once

namespace ropewalk {

// Erases the line of the terminal that the cursor is in.
inline constexpr const char* kEraseLine = "\r\033[K";

// Whether such a line stands on stderr now. REQUIRES: stderr is a terminal that knows kEraseLine.
void set_standing_line(bool stands);

}  // namespace ropewalk
