// plugin.h — the door: what every loadable library of Ropewalk, backend or plugin, exports.
//
// A library exports one symbol, `ropewalk_module`, and it is data: the host reads magic, ABI
// version and toolchain before any code of the library runs, and refuses a stranger in words.
// Behind the door come virtual classes (backend.h, sampler.h, prompt_format.h, rope_scaling.h)
// whose methods are noexcept and whose objects die by their own release().
//
// Only plain structs, std::span and std::string_view cross. Nothing thrown crosses: guard() in
// guard.h. Libraries are never unloaded, so pointers into their constants stay valid.
//
// A complete sampler library, apart from its arithmetic:
//
//   class Doubler final : public abi::Sampler { ... explicit Doubler(const abi::Options&); ... };
//   const abi::Module ropewalk_module = abi::make_module<abi::Sampler, Doubler>(
//       {.name = "doubler", .version = "1.0.0", .help = "Doubles every logit.",
//        .source = "example"});
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>

#include "core/abi/guard.h"
#include "core/abi/options.h"
#include "core/abi/status.h"

namespace ropewalk::abi {

inline constexpr char kMagic[8] = {'R', 'O', 'P', 'E', 'W', 'A', 'L', 'K'};

// A change of layout or meaning raises the major number; an addition at the end of a struct or a
// new kind raises the minor one. The host takes its own major and any minor up to its own.
inline constexpr uint16_t kAbiMajor = 1;
inline constexpr uint16_t kAbiMinor = 0;

// Virtual classes cross the door, so both sides must agree on the C++ ABI. The string names what
// decides it; the host requires equality and prints both strings where they differ.
#define ROPEWALK_STRINGIFY_(x) #x
#define ROPEWALK_STRINGIFY(x) ROPEWALK_STRINGIFY_(x)
#if defined(__clang__)
#define ROPEWALK_COMPILER "clang-" ROPEWALK_STRINGIFY(__clang_major__)
#elif defined(__GNUC__)
#define ROPEWALK_COMPILER "gcc-" ROPEWALK_STRINGIFY(__GNUC__)
#else
#define ROPEWALK_COMPILER "unknown"
#endif
#if defined(_LIBCPP_VERSION)
#define ROPEWALK_STDLIB "libc++"
#elif defined(_GLIBCXX_USE_CXX11_ABI) && _GLIBCXX_USE_CXX11_ABI
#define ROPEWALK_STDLIB "libstdc++-cxx11"
#else
#define ROPEWALK_STDLIB "libstdc++-old"
#endif
inline constexpr char kToolchain[] = ROPEWALK_COMPILER
    " " ROPEWALK_STDLIB " " ROPEWALK_STRINGIFY(__SIZEOF_POINTER__) "-byte-pointers";

enum class ModuleKind : uint32_t { backend = 1, sampler = 2, prompt_format = 3, rope_scaling = 4 };

// What a library says about itself. The fixed-size head (up to and including `toolchain`) is the
// same in every major version, so any host can refuse any library in words. It holds no pointers,
// so that it can be read from the file before the library is loaded.
struct Module {
  char magic[8];
  uint16_t abi_major;
  uint16_t abi_minor;
  uint32_t struct_size;  // sizeof(Module) of the library
  ModuleKind kind;
  char toolchain[100];

  const char* name;     // as written in YAML: "top-p"
  const char* version;  // of the plugin itself: "1.0.0"
  const char* help;     // one line
  const char* source;   // of the formula or format: a paper, a repository's file
  const OptionInfo* options;
  uint32_t option_count;

  // Makes an object of the kind's interface class. `*object` is an Interface*, cast to void*.
  Status (*create)(const CreateInfo& info, void** object) noexcept;
};

struct ModuleInfo {
  const char* name;
  const char* version;
  const char* help;
  const char* source;
  std::span<const OptionInfo> options = {};
};

// `Interface` is the kind's class with a `static constexpr ModuleKind kKind`; `Object` derives from
// it and has a constructor that takes `const Options&`.
template <class Interface, class Object>
constexpr Module make_module(const ModuleInfo& info) {
  Module module{};
  for (size_t i = 0; i < sizeof kMagic; ++i) module.magic[i] = kMagic[i];
  module.abi_major = kAbiMajor;
  module.abi_minor = kAbiMinor;
  module.struct_size = sizeof(Module);
  module.kind = Interface::kKind;
  static_assert(sizeof kToolchain <= sizeof module.toolchain);
  for (size_t i = 0; i < sizeof kToolchain; ++i) module.toolchain[i] = kToolchain[i];
  module.name = info.name;
  module.version = info.version;
  module.help = info.help;
  module.source = info.source;
  module.options = info.options.data();
  module.option_count = static_cast<uint32_t>(info.options.size());
  module.create = [](const CreateInfo& create_info, void** object) noexcept {
    return guard([&] { *object = static_cast<Interface*>(new Object(Options(create_info))); });
  };
  return module;
}

}  // namespace ropewalk::abi

extern "C" {
// The one exported symbol.
extern __attribute__((visibility("default"))) const ropewalk::abi::Module ropewalk_module;
}
