#include "core/modules/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/config/keys.h"
#include "core/config/nearest.h"
#include "core/modules/door.h"
#include "core/modules/program_path.h"

namespace ropewalk {
namespace {

namespace fs = std::filesystem;

constexpr std::array kKinds = {abi::ModuleKind::backend, abi::ModuleKind::sampler,
                               abi::ModuleKind::prompt_format, abi::ModuleKind::rope_scaling};

// The *.so in `folder` itself, sorted; none where there is no such folder.
std::vector<fs::path> libraries_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (entry->path().extension() == ".so") files.push_back(entry->path());
  std::ranges::sort(files);
  return files;
}

// "is ..." of an Error about `file`, without the file's name.
std::string reason_of(const Error& error, const fs::path& file) {
  std::string reason = error.what();
  const std::string prefix = printable(file.string(), 400) + ": ";
  if (reason.starts_with(prefix)) reason.erase(0, prefix.size());
  return reason;
}

}  // namespace

fs::path install_folder() {
  return (program_path().parent_path() / ".." / ROPEWALK_LIBDIR / "ropewalk").lexically_normal();
}

Registry::Registry(RegistrySettings settings) : settings_(std::move(settings)) {
  check_writable_by_others(settings_.install_folder, settings_.trust);
  for (const fs::path& path : settings_.paths) {
    std::error_code error;
    if (!fs::exists(path, error))
      throw Error(ExitCode::plugin, path.string(), "is not there, expected a module or a folder",
                  "Correct plugins.paths");
    check_writable_by_others(fs::is_directory(path, error) ? path : path.parent_path(),
                             settings_.trust);
  }
}

std::vector<Registry::Candidate> Registry::candidates(abi::ModuleKind kind) const {
  std::vector<Candidate> found;
  for (fs::path& file : libraries_in(settings_.install_folder / kind_folder(kind)))
    found.push_back({std::move(file), true});
  for (const fs::path& path : settings_.paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      found.push_back({path, false});
      continue;
    }
    for (const fs::path& folder : {path, path / kind_folder(kind)})
      for (fs::path& file : libraries_in(folder)) found.push_back({std::move(file), false});
  }
  return found;
}

const Library& Registry::load(const fs::path& file) {
  std::unique_ptr<Library>& library = loaded_[file];
  if (!library) library = std::make_unique<Library>(file);
  return *library;
}

// An installed file is ours and only passes the door; a stranger is also probed.
ModuleDescription Registry::describe(const Candidate& candidate) {
  if (!candidate.installed) return probes_.probe(candidate.file, settings_.probe);
  check_door(candidate.file);
  return load(candidate.file).description();
}

const Library* Registry::find_if_present(abi::ModuleKind kind, std::string_view name) {
  std::vector<fs::path> found;
  std::vector<Candidate> others;
  for (Candidate& candidate : candidates(kind)) {
    if (!same_name(candidate.file.stem().string(), name)) {
      others.push_back(std::move(candidate));
      continue;
    }
    const ModuleDescription module = describe(candidate);
    if (module.kind == kind && same_name(module.name, name)) found.push_back(candidate.file);
  }
  // Another file may declare the name. Faults of files that nobody asked for are not reported.
  for (const Candidate& candidate : others) {
    if (!found.empty()) break;
    try {
      if (check_door(candidate.file).kind != kind) continue;
      if (same_name(probes_.probe(candidate.file, settings_.probe).name, name))
        found.push_back(candidate.file);
    } catch (const Error&) {
      continue;
    }
  }
  if (found.empty()) return nullptr;
  if (found.size() > 1)
    throw Error(
        ExitCode::plugin, found[1].string(),
        fmt::format("is a {} called {}, as is {}", kind_name(kind), name, found[0].string()),
        "Remove one of them, or rename yours");
  return &load(found[0]);
}

void Registry::refuse_missing(abi::ModuleKind kind, std::string_view name,
                              const std::string& where) const {
  std::vector<std::string> names;
  std::vector<std::string> places = {(settings_.install_folder / kind_folder(kind)).string()};
  for (const Candidate& candidate : candidates(kind)) names.push_back(candidate.file.stem());
  for (const fs::path& path : settings_.paths) places.push_back(path.string());
  for (const abi::ModuleKind other : kKinds)
    for (const Candidate& candidate : candidates(other))
      if (candidate.file.stem() == name && check_door(candidate.file).kind == other)
        throw Error(ExitCode::plugin, where,
                    fmt::format("found no {} called {}: {} is a {}", kind_name(kind), name,
                                candidate.file.string(), kind_name(other)),
                    suggestion(name, names));
  throw Error(ExitCode::plugin, where,
              fmt::format("found no {} called {}, searched {}", kind_name(kind), printable(name),
                          fmt::join(places, ", ")),
              suggestion(name, names));
}

const Library& Registry::find(abi::ModuleKind kind, std::string_view name) {
  const Library* library = find_if_present(kind, name);
  if (!library) refuse_missing(kind, name, "");
  return *library;
}

const Library& Registry::find_choice(abi::ModuleKind kind, const PluginChoice& choice) {
  const Library* library = find_if_present(kind, choice.name);
  if (!library) refuse_missing(kind, choice.name, choice.where.text());
  return *library;
}

std::vector<ModuleListing> Registry::list() {
  std::vector<Candidate> all;
  for (const abi::ModuleKind kind : kKinds)
    for (Candidate& candidate : candidates(kind))
      if (std::ranges::find(all, candidate.file, &Candidate::file) == all.end())
        all.push_back(std::move(candidate));
  std::stable_partition(all.begin(), all.end(), [](const Candidate& c) { return c.installed; });

  std::vector<ModuleListing> listings;
  std::map<std::pair<abi::ModuleKind, std::string>, fs::path> first;
  for (const Candidate& candidate : all) {
    ModuleListing listing{candidate.file, {}, "ok"};
    try {
      listing.description = probes_.probe(candidate.file, settings_.probe);
      const auto [other, is_first] = first.emplace(
          std::pair(listing.description->kind, listing.description->name), candidate.file);
      if (!is_first) listing.verdict = fmt::format("has the name of {}", other->second.string());
    } catch (const Error& error) {
      listing.verdict = reason_of(error, candidate.file);
    }
    listings.push_back(std::move(listing));
  }
  return listings;
}

}  // namespace ropewalk
