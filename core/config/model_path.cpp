#include "core/config/model_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "core/base/error.h"

namespace ropewalk {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMain = "main";
constexpr std::string_view kHuggingFace = "hf:", kModelScope = "ms:";

bool is_name(std::string_view text, std::string_view more) {
  const auto allowed = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           more.find(c) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= 200 && text.front() != '.' && text.front() != '/' &&
         text.find("..") == std::string_view::npos &&
         std::all_of(text.begin(), text.end(), allowed);
}

// As huggingface_hub reads them: "~/" is the home folder.
fs::path from_environment(const char* variable) {
  const char* value = std::getenv(variable);
  if (!value) return {};
  if (std::string_view(value).starts_with("~/")) return from_environment("HOME") / (value + 2);
  return value;
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// What a ref holds: one short line. Empty: it is not there, or holds anything else.
std::string commit_of(const fs::path& ref) {
  std::error_code error;
  if (!fs::is_regular_file(ref, error)) return "";
  std::ifstream file(ref);
  std::string commit(64, '\0');
  file.read(commit.data(), static_cast<std::streamsize>(commit.size()));
  commit.resize(static_cast<size_t>(file.gcount()));
  while (!commit.empty() && (commit.back() == '\n' || commit.back() == ' ')) commit.pop_back();
  return is_name(commit, "._-") ? commit : "";
}

std::optional<fs::path> snapshot_of(const fs::path& repository, std::string_view revision) {
  const fs::path snapshots = repository / "snapshots";
  const std::string commit = commit_of(repository / "refs" / revision);
  if (!commit.empty() && is_folder(snapshots / commit)) return snapshots / commit;
  if (revision.find('/') == std::string_view::npos && is_folder(snapshots / revision))
    return snapshots / revision;
  return std::nullopt;
}

std::optional<fs::path> only_snapshot(const fs::path& repository) {
  std::optional<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(repository / "snapshots", error)) {
    if (found) return std::nullopt;
    found = entry.path();
  }
  return found && is_folder(*found) ? found : std::nullopt;
}

// Looked for besides Hugging Face's cache, or alone.
bool may_be_in_modelscope(const HubName& name) {
  return name.hub == Hub::modelscope || (name.hub == Hub::any && name.revision.empty());
}

std::optional<fs::path> find_in_modelscope_cache(const HubName& name) {
  std::string folder;
  for (const char c : name.name) folder += c == '.' ? "___" : std::string(1, c);
  for (const fs::path& root : {modelscope_cache() / "models", modelscope_cache()})
    if (is_folder(root / name.org / folder)) return root / name.org / folder;
  return std::nullopt;
}

std::optional<fs::path> main_snapshot(const fs::path& repository) {
  if (auto snapshot = snapshot_of(repository, kMain)) return snapshot;
  return only_snapshot(repository);
}

}  // namespace

std::optional<HubName> as_hub_name(std::string_view text) {
  HubName found;
  if (text.starts_with(kHuggingFace)) found.hub = Hub::hugging_face;
  if (text.starts_with(kModelScope)) found.hub = Hub::modelscope;
  if (found.hub != Hub::any) text.remove_prefix(kHuggingFace.size());
  if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    found.revision = text.substr(colon + 1);
    text = text.substr(0, colon);
    if (!is_name(found.revision, "._-/")) return std::nullopt;
  }
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  found.org = text.substr(0, slash);
  found.name = text.substr(slash + 1);
  if (!is_name(found.org, "._-") || !is_name(found.name, "._-")) return std::nullopt;
  return found;
}

fs::path hub_cache() {
  for (const char* variable : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"})
    if (const fs::path cache = from_environment(variable); !cache.empty()) return cache;
  if (const fs::path home = from_environment("HF_HOME"); !home.empty()) return home / "hub";
  fs::path caches = from_environment("XDG_CACHE_HOME");
  if (caches.empty()) caches = from_environment("HOME") / ".cache";
  return caches / "huggingface" / "hub";
}

fs::path modelscope_cache() {
  if (const fs::path cache = from_environment("MODELSCOPE_CACHE"); !cache.empty()) return cache;
  return from_environment("HOME") / ".cache" / "modelscope" / "hub";
}

std::optional<fs::path> find_in_hub_cache(const HubName& name) {
  std::optional<fs::path> found;
  const fs::path repository = hub_cache() / fmt::format("models--{}--{}", name.org, name.name);
  if (name.hub != Hub::modelscope)
    found =
        name.revision.empty() ? main_snapshot(repository) : snapshot_of(repository, name.revision);
  if (!found && may_be_in_modelscope(name)) found = find_in_modelscope_cache(name);
  return found;
}

fs::path within_hub_cache(const fs::path& folder) {
  if (!is_folder(folder / "snapshots") || fs::exists(folder / "config.json")) return folder;
  return main_snapshot(folder).value_or(folder);
}

std::string download_command(const HubName& name) {
  std::string command = fmt::format(
      "{} {}/{}", name.hub == Hub::modelscope ? "modelscope download --model" : "hf download",
      name.org, name.name);
  if (!name.revision.empty()) command += " --revision " + name.revision;
  return command;
}

void require_model(const fs::path& model, const std::string& hub_name) {
  std::error_code error;
  const std::optional<HubName> named = as_hub_name(hub_name);
  if (!named || fs::exists(model, error)) return;
  const std::string caches =
      named->hub == Hub::modelscope ? fmt::format("cache {}", modelscope_cache().string())
      : may_be_in_modelscope(*named)
          ? fmt::format("caches {} and {}", hub_cache().string(), modelscope_cache().string())
          : fmt::format("cache {}", hub_cache().string());
  throw Error(ExitCode::model, hub_name,
              fmt::format("found no such folder, nor this model in the {}", caches),
              fmt::format("Download it: {}", download_command(*named)));
}

}  // namespace ropewalk
