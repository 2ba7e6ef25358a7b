#include "apps/evaluation/dataset_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apps/input.h"
#include "core/base/error.h"
#include "core/engine/engine.h"
#include "core/eval/dataset.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr size_t kJsonlTexts = 100;  // as in exllama's test()

std::vector<std::vector<int32_t>> tokenise(const Tokenizer& tokenizer, const std::string& bytes,
                                           const std::string& file, Protocol protocol) {
  std::vector<std::vector<int32_t>> texts;
  if (protocol == Protocol::jsonl) {
    for (const std::string& text : jsonl_texts(bytes, input_name(file), kJsonlTexts))
      texts.push_back(tokenizer.encode_text(text, SpecialTokens::as_text));
    return texts;
  }
  texts.push_back(tokenizer.encode_text(bytes, SpecialTokens::as_text));
  if (protocol == Protocol::llamacpp && tokenizer.add_bos())
    texts[0].insert(texts[0].begin(), tokenizer.bos_id());
  return texts;
}

// As llama.cpp: a model whose texts have no BOS keeps its windows as they are.
int32_t window_bos(const Tokenizer& tokenizer) {
  return tokenizer.add_bos() ? tokenizer.bos_id() : -1;
}

std::vector<ScoredWindow> jsonl_windows(const Dataset& dataset, const WindowSettings& settings) {
  std::vector<ScoredWindow> windows;
  for (const std::vector<int32_t>& text : dataset.texts) {
    const auto length = static_cast<uint32_t>(std::min<size_t>(text.size(), settings.length));
    const uint32_t last = std::min(settings.last.value_or(length), length);
    const uint32_t scored = std::max(1u, length - last);
    if (scored < length) windows.push_back({{text.begin(), text.begin() + length}, scored});
  }
  return windows;
}

}  // namespace

Dataset read_dataset(const DatasetArguments& arguments, const Config& config, Protocol protocol) {
  Dataset dataset;
  dataset.file = arguments.text ? *arguments.text : *arguments.ids;
  std::string bytes = read_input(dataset.file);
  dataset.sha256 = sha256(bytes);
  if (arguments.ids && protocol == Protocol::jsonl)
    throw Error(ExitCode::usage, "command line", "--protocol jsonl reads texts, found --ids",
                "Give the JSON Lines file with --text");
  if (arguments.ids) {
    dataset.texts.push_back(parse_ids(bytes, input_name(dataset.file)));
    if (protocol == Protocol::llamacpp) dataset.bos_id = window_bos(open_tokenizer(config));
    return dataset;
  }
  const Tokenizer tokenizer = open_tokenizer(config);
  dataset.bos_id = window_bos(tokenizer);
  dataset.texts = tokenise(tokenizer, clean_text(std::move(bytes), input_name(dataset.file)),
                           dataset.file, protocol);
  return dataset;
}

std::vector<ScoredWindow> windows_of(const Dataset& dataset, const WindowSettings& settings) {
  const bool is_jsonl = settings.protocol == Protocol::jsonl;
  std::vector<ScoredWindow> windows;
  if (is_jsonl) {
    windows = jsonl_windows(dataset, settings);
  } else {
    const std::vector<int32_t>& text = dataset.texts[0];
    windows = fill_windows(cut_windows(settings, text.size()), text, dataset.bos_id);
  }
  if (!windows.empty()) return windows;
  if (is_jsonl)
    throw Error(ExitCode::limit, input_name(dataset.file),
                "found no text of more than 50 characters, expected at least one", "");
  const uint64_t needed = settings.protocol == Protocol::llamacpp ? 2 * uint64_t{settings.length}
                          : settings.protocol == Protocol::chunk  ? settings.length
                                                                  : 2;
  throw Error(ExitCode::limit, input_name(dataset.file),
              fmt::format("found {} tokens, {} at a context of {} needs at least {}",
                          dataset.texts[0].size(), protocol_name(settings.protocol),
                          settings.length, needed),
              "Take a longer text or a shorter --context");
}

Json run_json(const Config& config, const Runtime& runtime) {
  const KvCacheType cache = config.context.kv_cache;
  return {
      {"device", runtime.device().name()},
      {"model", config.model.filename().string()},
      {"rope", runtime.rope().plugin.name},
      {"activation", runtime.device().device->info().activation == abi::DType::f16 ? "f16" : "f32"},
      {"kv_cache", cache == KvCacheType::int8  ? "int8"
                   : cache == KvCacheType::f32 ? "f32"
                                               : "f16"}};
}

}  // namespace ropewalk
