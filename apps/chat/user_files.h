// user_files.h — what chat keeps between its starts: the history of lines, and a conversation that
// was left without being saved.
#pragma once

#include <filesystem>

namespace ropewalk {

// XDG_STATE_HOME/ropewalk, else ~/.local/state/ropewalk; made where it is missing, for the user
// alone. Empty where there is no home, or it cannot be made: then nothing is kept.
std::filesystem::path state_folder();

}  // namespace ropewalk
