// crash.h — names the backend or plugin in whose code the program crashed.
//
// A crash cannot be undone, nor can an exception that leaves a noexcept function. But the stack
// shows whose code it was: the innermost frame in a loaded library, unless one of the program's own
// is further in.
#pragma once

#include <filesystem>

namespace ropewalk {

// From now on a crash in a remembered module prints "error: FILE: ..." and ends the program with
// ExitCode::plugin. Other crashes end it as before: by the handler that was there, such as a
// sanitizer's. Call it once, before any thread starts.
void install_crash_handlers();

// `inside` is any address of the loaded library. Does nothing beyond the first 256 libraries. Any
// thread may call it, one at a time.
void remember_module(const std::filesystem::path& file, const void* inside);

}  // namespace ropewalk
