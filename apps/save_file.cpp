#include "apps/save_file.h"

#include "core/base/new_file.h"

namespace ropewalk {

void save_file(const std::filesystem::path& file, std::string_view bytes) {
  NewFile made(file);
  made.write(bytes);
  made.commit();
}

}  // namespace ropewalk
