// registry.h — finds backends and plugins by kind and name.
//
// Searches the install's folder and plugins.paths of the configuration, never the current directory
// and never the loader's own path. Files outside the install's folder are probed in a child process
// before they are loaded. Not thread-safe; what it returns is.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/trust.h"
#include "core/modules/library.h"
#include "core/modules/probe.h"

namespace ropewalk {

struct RegistrySettings {
  std::filesystem::path install_folder;      // .../lib/ropewalk, with a folder per kind
  std::vector<std::filesystem::path> paths;  // files and folders, absolute; Config::plugin_paths
  ProbeSettings probe = {};
  Trust trust = Trust::warn;  // towards folders that anyone may write
};

// ../lib/ropewalk from the running program's folder: the same in the build and the install tree.
std::filesystem::path install_folder();

// A file and whether it was accepted.
struct ModuleListing {
  std::filesystem::path file;
  std::optional<ModuleDescription> description;  // absent: refused
  std::string verdict;                           // "ok", or the reason in words
};

class Registry {
 public:
  // Throws Error(plugin) where one of `paths` is not there.
  explicit Registry(RegistrySettings settings);

  // The library that declares `name`, loaded. Throws Error(plugin): none (with the places searched
  // and the nearest names), several (with both files), a file that the door, the probe or the
  // loader refuses. Files named NAME.so are looked at first and, where one fits, alone.
  // - and _ are the same in a name.
  const Library& find(abi::ModuleKind kind, std::string_view name);

  // The same, but the error names the place in the configuration.
  const Library& find_choice(abi::ModuleKind kind, const PluginChoice& choice);

  // The same, but nullptr where there is none: a backend that was not built.
  const Library* find_if_present(abi::ModuleKind kind, std::string_view name);

  // Every module file of the search path, each probed, the installed ones first. The verdict of a
  // bad one is the reason; the second of two with the same name is bad.
  std::vector<ModuleListing> list();

 private:
  struct Candidate {
    std::filesystem::path file;
    bool installed;
  };

  std::vector<Candidate> candidates(abi::ModuleKind kind) const;
  ModuleDescription describe(const Candidate& candidate);
  const Library& load(const std::filesystem::path& file);
  [[noreturn]] void refuse_missing(abi::ModuleKind kind, std::string_view name,
                                   const std::string& where) const;

  RegistrySettings settings_;
  ProbeCache probes_;
  std::map<std::filesystem::path, std::unique_ptr<Library>> loaded_;
};

}  // namespace ropewalk
