// common_fields.h — the fields that completions and chat completions share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/serve/request/ask.h"
#include "core/serve/request/fields.h"

namespace ropewalk::serve {

inline constexpr int64_t kMaxAlternatives = 20;  // that are told of a token

class CommonFields {
 public:
  // REQUIRES: all outlive this.
  CommonFields(Fields& fields, const ServedModel& model, Ask& ask);

  // Everything but prompt, length, logprobs and echo. Throws ApiError.
  void read();
  // The length that was asked for; nothing where neither request nor configuration says one.
  std::optional<uint32_t> max_tokens(Names names);
  // The members that nobody asked for: told, or refused where `strictness`, the body or the
  // configuration is strict.
  void finish(Strictness strictness);

  // Adds a prompt, with the length of its reply. Throws ApiError where it does not fit.
  void add_prompt(std::vector<int32_t> ids, std::optional<uint32_t> max_new_tokens);
  // `ropewalk.truncate`, where it was given.
  const std::optional<Truncate>& truncate() const { return truncate_; }

 private:
  void read_model();
  void read_counts();
  void read_stops();
  void read_seed();
  void read_stream();
  void read_own();
  const std::vector<PluginChoice>& read_preset();
  void read_sampling();

  Fields& fields_;
  const ServedModel& model_;
  Ask& ask_;
  bool strict_ = false;
  std::optional<Truncate> truncate_;
  const Json* own_sampling_ = nullptr;
  std::optional<std::string> unknown_own_;
};

// Whether the configuration's file, or --set, says `path`.
bool is_configured(const Config& config, std::string_view path);

}  // namespace ropewalk::serve
