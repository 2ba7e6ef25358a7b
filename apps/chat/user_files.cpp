#include "apps/chat/user_files.h"

#include <cstdlib>
#include <system_error>

namespace ropewalk {
namespace {

namespace fs = std::filesystem;

fs::path home_of_states() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state && *state == '/') return state;  // the specification takes absolute paths alone
  const char* home = std::getenv("HOME");
  return home && *home == '/' ? fs::path(home) / ".local/state" : fs::path();
}

}  // namespace

fs::path state_folder() {
  const fs::path home = home_of_states();
  if (home.empty()) return {};
  const fs::path folder = home / "ropewalk";
  std::error_code error;
  if (fs::create_directories(folder, error))
    fs::permissions(folder, fs::perms::owner_all, fs::perm_options::replace, error);
  return fs::is_directory(folder, error) ? folder : fs::path();
}

}  // namespace ropewalk
