#include "apps/quantize/calibration_input.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "apps/input.h"
#include "apps/messages.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "core/engine/engine.h"
#include "core/json/json.h"
#include "core/text/prompt.h"

namespace ropewalk {
namespace {

using Ids = std::vector<int32_t>;

constexpr double kMaxUnknown = 0.01;  // of the text's tokens

[[noreturn]] void refuse_calibration(const std::string& where, const std::string& what,
                                     std::string_view advice) {
  throw Error(ExitCode::usage, where, what, advice);
}

// Opens the tokenizer when a text asks for it: ids need none.
class Reader {
 public:
  Reader(const Config& config, const ModelConfig& model) : config_(config), model_(model) {}

  void read(const std::string& file) {
    const std::string bytes = read_input(file);
    const std::string extension = std::filesystem::path(file).extension().string();
    if (extension == ".parquet")
      refuse_calibration(
          file, "is a Parquet file, expected text, JSON Lines or ids",
          "Convert it: python -c 'import pandas as p; "
          "p.read_parquet(\"f.parquet\").to_json(\"f.jsonl\", orient=\"records\", lines=True)'");
    if (extension == ".ids") return add_windows(bytes, file);
    if (extension == ".jsonl") return add_lines(bytes, file);
    if (const size_t bad = utf8_first_error(bytes); bad != std::string::npos)
      refuse_calibration(file, fmt::format("is not UTF-8 at byte {}", bad), "Convert it to UTF-8");
    documents.push_back(encode(bytes, file));
  }

  std::optional<int32_t> bos() {
    // Ids alone do not say it, and a model without a tokenizer has no text.
    if (!text_) return std::nullopt;
    const Tokenizer& tokenizer = text_->tokenizer();
    return tokenizer.add_bos() ? std::optional(tokenizer.bos_id()) : std::nullopt;
  }

  // Text that the vocabulary cannot spell says nothing about the model's inputs.
  void warn_of_unknown() const {
    const double share = static_cast<double>(unknown_) / static_cast<double>(spelled_);
    if (spelled_ == 0 || share <= kMaxUnknown) return;
    warn(
        fmt::format("--calibration: {:.1f} % of the text's tokens are the unknown token; take text "
                    "that the model's tokenizer can spell",
                    100 * share));
  }

  std::vector<Ids> documents, windows;

 private:
  const TextSide& text() {
    if (!text_) {
      registry_ = std::make_unique<Registry>(make_registry(config_));
      text_ = std::make_unique<TextSide>(*registry_, config_);
    }
    return *text_;
  }

  Ids encode(const std::string& bytes, const std::string& where) {
    return counted(checked(text().tokenizer().encode_text(bytes, SpecialTokens::as_text), where));
  }

  // Where BOS or EOS stands for the unknown token, the vocabulary is one of bytes and spells all.
  Ids counted(Ids ids) {
    const Tokenizer& tokenizer = text().tokenizer();
    const std::optional<int32_t> unknown = tokenizer.unknown_id();
    if (!unknown || *unknown == tokenizer.bos_id() || *unknown == tokenizer.eos_id()) return ids;
    unknown_ += std::ranges::count(ids, *unknown);
    spelled_ += static_cast<int64_t>(ids.size());
    return ids;
  }

  Ids checked(Ids ids, const std::string& where) const {
    for (const int32_t id : ids)
      if (id < 0 || static_cast<uint32_t>(id) >= model_.vocab_size)
        refuse_calibration(
            where, fmt::format("found the id {}, expected 0 to {}", id, model_.vocab_size - 1),
            "Take ids of this model's tokenizer");
    return ids;
  }

  void add_windows(const std::string& bytes, const std::string& file) {
    size_t at = 0;
    for (size_t line = 1; at < bytes.size(); ++line) {
      const size_t end = std::min(bytes.find('\n', at), bytes.size());
      const std::string where = fmt::format("{}:{}", file, line);
      Ids ids = parse_ids(std::string_view(bytes).substr(at, end - at), where);
      if (!ids.empty()) windows.push_back(checked(std::move(ids), where));
      at = end + 1;
    }
  }

  void add_lines(const std::string& bytes, const std::string& file) {
    for_each_json_line(bytes, {file, ExitCode::usage, "See docs/quantising.md for the forms"},
                       [&](const Json& line, const JsonSource& source) {
                         documents.push_back(document_of(line, source));
                         return true;
                       });
  }

  Ids document_of(const Json& line, const JsonSource& source) {
    const JsonFields fields(line, source, "");
    if (line.contains("text")) return encode(fields.text("text"), source.file);
    if (line.contains("messages")) return conversation(line["messages"], source.file);
    if (!line.contains("ids"))
      refuse_calibration(source.file, "has none of text, messages and ids", source.advice);
    Ids ids;
    for (const Json& id : line["ids"]) {
      if (!id.is_number_integer()) fields.fail("ids", "expected whole numbers", source.advice);
      const auto value = id.get<int64_t>();
      ids.push_back(value < 0 || value > INT32_MAX ? -1 : static_cast<int32_t>(value));
    }
    return checked(std::move(ids), source.file);
  }

  // As the model would read it. BOS is put in front of windows instead.
  Ids conversation(const Json& messages, const std::string& where) {
    const auto pieces = render_messages(
        text().format(), with_system(text(), config_, parse_messages(messages.dump(), where)));
    Ids ids = prompt_ids(text().tokenizer(), pieces);
    if (!ids.empty() && ids.front() == text().tokenizer().bos_id()) ids.erase(ids.begin());
    return counted(checked(std::move(ids), where));
  }

  const Config& config_;
  const ModelConfig& model_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<TextSide> text_;
  int64_t unknown_ = 0, spelled_ = 0;  // tokens of texts
};

quantize::Calibration of_windows(std::vector<Ids> windows, uint32_t length) {
  quantize::Calibration calibration;
  for (Ids& window : windows) {
    if (window.size() > length)
      throw Error(
          ExitCode::limit, "--calibration",
          fmt::format("holds a window of {} tokens, expected at most {}", window.size(), length),
          "Give --length, up to the model's context");
    calibration.tokens += window.size();
    calibration.windows.push_back(std::move(window));
  }
  calibration.asked = calibration.tokens;
  quantize::check_tokens(calibration);
  return calibration;
}

}  // namespace

quantize::Calibration read_calibration(const QuantizeArguments& arguments, const Config& config,
                                       const ModelConfig& model,
                                       const std::vector<quantize::WindowKind>& kinds) {
  Reader reader(config, model);
  for (const std::string& file : arguments.calibration) reader.read(file);
  reader.warn_of_unknown();
  if (!reader.windows.empty() && !reader.documents.empty())
    refuse_calibration("--calibration", "names files of windows (.ids) and of documents",
                       "Give one kind: --dump-calibration makes windows of documents");
  if (!reader.windows.empty())
    return of_windows(std::move(reader.windows),
                      std::ranges::max(kinds, {}, &quantize::WindowKind::length).length);
  quantize::CalibrationSettings settings;
  settings.windows = kinds;
  settings.seed = arguments.seed;
  settings.bos = reader.bos();
  settings.eos = model.eos_ids.empty() ? 0 : model.eos_ids.front();
  quantize::Calibration calibration =
      quantize::make_calibration(std::move(reader.documents), settings);
  if (calibration.tokens < calibration.asked)
    warn(fmt::format("--calibration: holds {} tokens, {} were asked for", calibration.tokens,
                     calibration.asked));
  return calibration;
}

std::string ids_text(const quantize::Calibration& calibration) {
  std::string text;
  for (const Ids& window : calibration.windows) text += fmt::format("{}\n", fmt::join(window, " "));
  return text;
}

}  // namespace ropewalk
