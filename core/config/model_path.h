// model_path.h — where a model lies that a configuration names: a folder, or a repository in the
// local cache of Hugging Face's hub. Nothing is downloaded.
//
//   CACHE/models--ORG--NAME/refs/main           holds the name of a snapshot
//                          /snapshots/REVISION  the model's folder
//
// Source: huggingface_hub, HF_HOME and HF_HUB_CACHE of its constants, repo_folder_name() and
// try_to_load_from_cache() of its downloads.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace ropewalk {

// ORG/NAME or ORG/NAME:REVISION.
struct HubName {
  std::string org, name, revision;  // revision may be empty
};
std::optional<HubName> as_hub_name(std::string_view text);  // nullopt: it is none

// HF_HUB_CACHE, else HF_HOME/hub, else huggingface/hub in XDG_CACHE_HOME, else in ~/.cache.
std::filesystem::path hub_cache();

// The snapshot of the revision (a ref, a commit, or main where it is empty) in the cache; nullopt:
// not there.
std::optional<std::filesystem::path> find_in_hub_cache(const HubName& name);

// `folder` itself, or where it is a repository of the cache (it has refs and snapshots and no
// config.json) the snapshot that its main points to, or its only one.
std::filesystem::path within_hub_cache(const std::filesystem::path& folder);

// Throws Error(model) with the command that downloads it where `model` is not there and the
// configuration names it by `hub_name`; does nothing where that is empty.
void require_model(const std::filesystem::path& model, const std::string& hub_name);

// The command that brings it: "hf download ORG/NAME --revision REVISION".
std::string download_command(const HubName& name);

}  // namespace ropewalk
