#include "core/modules/library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <boost/dll/shared_library.hpp>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/modules/crash.h"
#include "core/modules/options.h"

namespace ropewalk {
namespace {

constexpr const char* kSymbol = "ropewalk_module";

// Keeps a handle for the life of the process. The list is never destroyed but stays reachable, so
// that leak checkers do not report it.
void keep(std::unique_ptr<boost::dll::shared_library> library) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::unique_ptr<boost::dll::shared_library>>;
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(library));
}

const abi::Module& load(const std::filesystem::path& file) {
  namespace dll = boost::dll;
  auto library = std::make_unique<dll::shared_library>();
  std::error_code error;
  library->load(file, error, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
  if (error) {
    const char* reason = dlerror();
    throw Error(ExitCode::plugin, file.string(),
                fmt::format("cannot be loaded: {}", reason ? reason : error.message()),
                "Install what it depends on, or build it again");
  }
  if (!library->has(kSymbol))
    throw Error(ExitCode::plugin, file.string(), fmt::format("exports no {}", kSymbol), "");
  const abi::Module& module = library->get<const abi::Module>(kSymbol);
  keep(std::move(library));
  return module;
}

std::string message_of(const abi::Status& status) {
  const std::string text(status.message, strnlen(status.message, sizeof status.message));
  return text.empty() ? "failed without saying why" : text;
}

ExitCode exit_code_of(abi::StatusCode code) {
  switch (code) {
    case abi::StatusCode::unsupported:
    case abi::StatusCode::no_device:
      return ExitCode::no_device;
    case abi::StatusCode::out_of_memory:
      return ExitCode::out_of_memory;
    case abi::StatusCode::device_lost:
      return ExitCode::device_lost;
    case abi::StatusCode::ok:
    case abi::StatusCode::invalid_argument:
    case abi::StatusCode::internal:
      break;
  }
  return ExitCode::plugin;
}

// create() is declared noexcept. A library that throws anyway would end the process; called through
// this type, its exception can be caught.
using Create = abi::Status (*)(const abi::CreateInfo& info, void** object);

abi::Status call_create(Create create, const abi::CreateInfo& info, void** object) {
  try {
    return create(info, object);
  } catch (...) {
    // The exception's type may be known only to the library.
    return abi::fail(abi::StatusCode::internal, "threw an exception out of create()");
  }
}

}  // namespace

Library::Library(const std::filesystem::path& file)
    : file_(file), module_(&load(file)), description_(describe_module(*module_, file.string())) {
  remember_module(file, module_);
}

void* Library::create_object(abi::ModuleKind kind, const PluginChoice& choice,
                             const abi::Host* host) const {
  const std::string where = file_.string();
  if (description_.kind != kind)
    throw Error(
        ExitCode::plugin, where,
        fmt::format("is a {}, expected a {}", kind_name(description_.kind), kind_name(kind)), "");
  const ResolvedOptions options = resolve_options(description_, choice);
  const std::vector<abi::OptionValue> views = options.view();
  void* object = nullptr;
  const abi::Status status =
      call_create(module_->create, {.options = views, .host = host}, &object);
  if (status.code == abi::StatusCode::invalid_argument)
    throw Error(ExitCode::usage, choice.where.text(),
                fmt::format("{}: {}: {}", choice.key, choice.name, message_of(status)), "");
  check(status, where);
  if (!object) throw Error(ExitCode::plugin, where, "create() returned no object", "");
  return object;
}

void check(const abi::Status& status, std::string_view where) {
  if (!status.ok()) throw Error(exit_code_of(status.code), where, message_of(status), "");
}

}  // namespace ropewalk
