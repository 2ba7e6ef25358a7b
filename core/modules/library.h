// library.h — a loaded backend or plugin. Here alone a module's Status becomes an Error.
//
// Libraries are never unloaded: their objects, constants and exceptions may outlive any handle.
// A Library is immutable and may be used from any thread.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "core/abi/plugin.h"
#include "core/base/error.h"
#include "core/config/config.h"
#include "core/modules/description.h"

namespace ropewalk {

// Deletes an object of a module by its own release().
struct Release {
  template <class Interface>
  void operator()(Interface* object) const {
    object->release();
  }
};
template <class Interface>
using Owned = std::unique_ptr<Interface, Release>;

class Library {
 public:
  // Loads `file`, an absolute path that has passed the door (door.h). Throws Error(plugin): a
  // missing dependency, an undefined symbol, a declaration that describe_module() refuses.
  explicit Library(const std::filesystem::path& file);

  const std::filesystem::path& file() const { return file_; }
  const ModuleDescription& description() const { return description_; }

  // Makes an object of the kind's interface with the options of `choice`. `host` may be nullptr.
  // REQUIRES: description().kind == Interface::kKind.
  // Throws Error: usage for options, otherwise what check() says; plugin where the factory throws
  // or returns nothing.
  template <class Interface>
  Owned<Interface> create(const PluginChoice& choice, const abi::Host* host) const {
    return Owned<Interface>(static_cast<Interface*>(create_object(Interface::kKind, choice, host)));
  }

 private:
  void* create_object(abi::ModuleKind kind, const PluginChoice& choice,
                      const abi::Host* host) const;

  std::filesystem::path file_;
  const abi::Module* module_ = nullptr;
  ModuleDescription description_;
};

// Throws an Error unless `status` is ok: unsupported and no_device -> no_device, out_of_memory ->
// out_of_memory, device_lost -> device_lost, anything else -> plugin. `where` names the module and
// the call: "backends/cuda.so: compile".
void check(const abi::Status& status, std::string_view where);

}  // namespace ropewalk
