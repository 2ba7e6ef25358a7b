#include "apps/quantize/source_digest.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <vector>

#include "core/base/descriptor.h"
#include "core/base/error.h"
#include "core/digest/sha256.h"

namespace ropewalk {
namespace {

constexpr size_t kBytesAtATime = size_t{8} << 20;

std::string digest_of(const std::filesystem::path& path, const std::function<void()>& tick) {
  const auto require = [&](bool holds) {
    if (!holds)
      throw Error(ExitCode::model, path.string(),
                  std::string("cannot be read: ") + std::strerror(errno),
                  "Check the file and its permissions");
  };
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  require(file.valid());
  Sha256 digest;
  std::vector<char> bytes(kBytesAtATime);
  for (;;) {
    tick();
    const ssize_t count = read_up_to(file, bytes);
    require(count >= 0);
    digest.add({bytes.data(), static_cast<size_t>(count)});
    if (static_cast<size_t>(count) < bytes.size()) return digest.text();
  }
}

std::string digest_of(const std::filesystem::path& folder, const std::set<std::string>& files,
                      const std::function<void()>& tick) {
  Sha256 all;
  for (const std::string& file : files)
    all.add(digest_of(folder / file, tick) + "  " + file + "\n");
  return all.text();
}

}  // namespace

std::string source_digest(const Checkpoint& base, const std::function<void()>& tick) {
  std::set<std::string> files;
  for (const TensorInfo& tensor : base.tensors()) files.insert(tensor.file);
  return digest_of(base.directory(), files, tick);
}

std::string adapter_digest(const Adapter& adapter, const std::function<void()>& tick) {
  return digest_of(adapter.directory(), {"adapter_config.json", adapter.weights_file()}, tick);
}

}  // namespace ropewalk
