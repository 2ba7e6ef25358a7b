#include "core/modules/door.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/modules/elf.h"

namespace ropewalk {
namespace {

// The part of abi::Module that never changes and holds no pointers.
struct Head {
  char magic[8];
  uint16_t abi_major;
  uint16_t abi_minor;
  uint32_t struct_size;
  uint32_t kind;
  char toolchain[100];
};
static_assert(sizeof(Head) == offsetof(abi::Module, name));
static_assert(offsetof(Head, toolchain) == offsetof(abi::Module, toolchain));

constexpr std::string_view kRebuild = "Build it again with this Ropewalk's headers and compiler";

std::string text_of(const char* chars, size_t size) {
  return std::string(chars, strnlen(chars, size));
}

void judge(const Head& head, const std::string& file) {
  const auto refuse = [&](const std::string& what, std::string_view advice) {
    throw Error(ExitCode::plugin, file, what, advice);
  };
  if (std::memcmp(head.magic, abi::kMagic, sizeof head.magic) != 0)
    refuse(fmt::format("is no Ropewalk module: its ropewalk_module begins with {}, expected {}",
                       printable({head.magic, sizeof head.magic}),
                       std::string_view(abi::kMagic, sizeof abi::kMagic)),
           "Declare it as a constant with make_module()");
  if (head.abi_major != abi::kAbiMajor || head.abi_minor > abi::kAbiMinor)
    refuse(fmt::format("needs ABI {}.{}, this Ropewalk has {}.{}", head.abi_major, head.abi_minor,
                       abi::kAbiMajor, abi::kAbiMinor),
           kRebuild);
  const std::string toolchain = text_of(head.toolchain, sizeof head.toolchain);
  if (toolchain != abi::kToolchain)
    refuse(fmt::format("was built with {}, this Ropewalk with {}", printable(toolchain),
                       abi::kToolchain),
           kRebuild);
  if (head.struct_size != sizeof(abi::Module))
    refuse(fmt::format("declares itself in {} bytes, expected {}", head.struct_size,
                       sizeof(abi::Module)),
           kRebuild);
  if (head.kind < 1 || head.kind > 4)
    refuse(fmt::format("is of the unknown kind {}, expected 1 to 4", head.kind), kRebuild);
}

}  // namespace

ModuleHead check_door(const std::filesystem::path& file) {
  const std::vector<std::byte> bytes = read_exported_object(file, "ropewalk_module", sizeof(Head));
  Head head{};
  std::memcpy(&head, bytes.data(), sizeof head);
  judge(head, file.string());
  return {head.abi_major, head.abi_minor, head.struct_size, static_cast<abi::ModuleKind>(head.kind),
          text_of(head.toolchain, sizeof head.toolchain)};
}

}  // namespace ropewalk
