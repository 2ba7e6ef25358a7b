// model_path.h — finds the model that a configuration names: a folder, or a repository in the local
// cache of Hugging Face's hub or of ModelScope. Nothing is downloaded.
//
//   CACHE/models--ORG--NAME/refs/main           holds the name of a snapshot
//                          /snapshots/REVISION  the model's folder
//
//   CACHE/models/ORG/NAME                       the model's folder in ModelScope's cache, where a
//                                               name's "." is "___"; once it was CACHE/ORG/NAME
//
// Source: huggingface_hub, HF_HOME and HF_HUB_CACHE of its constants, repo_folder_name() and
// try_to_load_from_cache() of its downloads; modelscope, get_modelscope_cache_dir() and
// create_temporary_directory_and_cache() of its hub.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace ropewalk {

enum class Hub { any, hugging_face, modelscope };

// ORG/NAME or ORG/NAME:REVISION; behind "hf:" or "ms:" it is looked for in that hub's cache alone.
struct HubName {
  Hub hub = Hub::any;
  std::string org, name, revision;  // revision may be empty
};
std::optional<HubName> as_hub_name(std::string_view text);  // nullopt: it is none

// HF_HUB_CACHE or by its old name HUGGINGFACE_HUB_CACHE, else HF_HOME/hub, else huggingface/hub in
// XDG_CACHE_HOME, else in ~/.cache.
std::filesystem::path hub_cache();

// MODELSCOPE_CACHE, else modelscope/hub in ~/.cache.
std::filesystem::path modelscope_cache();

// The snapshot of the revision (a ref, a commit, or main where it is empty) in Hugging Face's
// cache, else the folder in ModelScope's, which does not say of which revision it is and is left
// out where one is asked for; nullopt: not there.
std::optional<std::filesystem::path> find_in_hub_cache(const HubName& name);

// `folder` itself, or where it is a repository of the cache (it has refs and snapshots and no
// config.json) the snapshot that its main points to, or its only one.
std::filesystem::path within_hub_cache(const std::filesystem::path& folder);

// Throws Error(model) with the command that downloads it where `model` is not there and the
// configuration names it by `hub_name`; does nothing where that is empty.
void require_model(const std::filesystem::path& model, const std::string& hub_name);

// The command that brings it: "hf download ORG/NAME --revision REVISION", or ModelScope's.
std::string download_command(const HubName& name);

}  // namespace ropewalk
