// merge.cpp — `ropewalk adapter merge BASE --adapter DIR[:SCALE]... --out DIR`: a model with
// adapters in its weights.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "apps/adapter/adapter_commands.h"
#include "apps/adapter/adapter_input.h"
#include "apps/adapter/companions.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "core/adapter/base_fit.h"
#include "core/adapter/nf4_checkpoint.h"
#include "core/adapter/write_model.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/config/nearest.h"
#include "core/json/json.h"
#include "core/model/families.h"

namespace ropewalk {
namespace {

constexpr uint64_t kShardBytes = 5'000'000'000;  // as transformers cuts files
constexpr uint32_t kMaxThreads = 4;              // then the disk is the limit

std::optional<StoredType> type_of(const std::string& name) {
  if (name.empty()) return std::nullopt;
  if (name == "f32") return StoredType::f32;
  if (name == "f16") return StoredType::f16;
  if (name == "bf16") return StoredType::bf16;
  const std::vector<std::string> known = {"f16", "bf16", "f32"};
  throw Error(ExitCode::usage, "command line", fmt::format("unknown --dtype {}", printable(name)),
              suggestion(name, known));
}

// The base as it is stored, or as a QLoRA training saw it.
std::unique_ptr<Checkpoint> base_as(const std::string& name, const Checkpoint& stored) {
  if (name.empty()) return nullptr;
  if (name == "nf4") return std::make_unique<Nf4Checkpoint>(stored);
  throw Error(ExitCode::usage, "command line", fmt::format("unknown --base-as {}", printable(name)),
              "Known is nf4");
}

uint64_t bytes_of(const Checkpoint& model) {
  uint64_t bytes = 0;
  for (const TensorInfo& tensor : model.tensors()) bytes += tensor.bytes;
  return bytes;
}

}  // namespace

int adapter_merge(const AdapterMergeArguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  const std::optional<StoredType> type = type_of(arguments.type);
  const Config config = open_base_config(arguments.common, arguments.common.target);
  const auto base = Checkpoint::open(config.model, config_families());
  const auto rounded = base_as(arguments.base_as, *base);
  const OpenAdapters open = open_adapters(arguments.adapters);
  const MergedCheckpoint merged(rounded ? *rounded : *base, {open.scaled, type});
  for (const auto& adapter : open.adapters) warn_of(doubts_of(*adapter, base.get(), {}));

  const StopRequest stop;
  OutputFolder folder(arguments.out, Existing::refuse);
  Progress progress("merging", progress_for(arguments.common));
  WriteSettings settings{kShardBytes,
                         std::clamp(std::thread::hardware_concurrency(), 1u, kMaxThreads),
                         [&](uint64_t done, uint64_t total) {
                           throw_if_stopped();
                           progress.show_bytes(done, total);
                         }};
  add_companions(merged, folder);
  write_tensors(merged, folder, settings);
  add_config(merged, type, folder);
  folder.commit();

  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const uint64_t bytes = bytes_of(merged);
  if (arguments.common.json) {
    print_json({{"out", arguments.out},
                {"tensors", merged.tensors().size()},
                {"changed", merged.changed()},
                {"bytes", bytes},
                {"seconds", seconds.count()}});
  } else {
    print(fmt::format("{}: {} tensors, {} of them changed, {} in {:.1f} s\n", arguments.out,
                      merged.tensors().size(), merged.changed(), format_bytes(bytes),
                      seconds.count()));
  }
  return 0;
}

}  // namespace ropewalk
