#include "core/text/prompt.h"

#include "core/base/error.h"

namespace ropewalk {

void PieceCollector::text(std::string_view utf8) noexcept {
  if (!utf8.empty()) push(PieceKind::text, utf8);
}

void PieceCollector::control(abi::Control token) noexcept {
  push(token == abi::Control::bos ? PieceKind::bos : PieceKind::eos, "");
}

void PieceCollector::added_token(std::string_view name) noexcept { push(PieceKind::added, name); }

void PieceCollector::push(PieceKind kind, std::string_view text) noexcept {
  try {
    if (kind == PieceKind::text && !pieces_.empty() && pieces_.back().kind == kind)
      pieces_.back().text += text;
    else
      pieces_.push_back({.kind = kind, .text = std::string(text)});
  } catch (...) {
    failure_ = std::current_exception();  // the format must not see it: its calls are noexcept
  }
}

std::vector<PromptPiece> PieceCollector::take() {
  if (failure_) std::rethrow_exception(failure_);
  return std::move(pieces_);
}

std::vector<PromptPiece> render_messages(const abi::PromptFormat& format,
                                         std::span<const ChatMessage> messages) {
  std::vector<abi::Message> views;
  for (const ChatMessage& message : messages)
    views.push_back({.role = message.role, .content = message.content});
  PieceCollector collector;
  const abi::Status status = format.render(views, collector);
  if (!status.ok())
    throw Error(ExitCode::usage, "messages", status.message,
                "Give an optional system message, then user and assistant in turn");
  return collector.take();
}

std::vector<Segment> prompt_segments(const Tokenizer& tokenizer,
                                     std::span<const PromptPiece> pieces) {
  std::vector<Segment> segments;
  const auto add_text = [&](const std::string& text) {
    if (!segments.empty() && !segments.back().token)
      segments.back().text += text;
    else
      segments.push_back({.text = text});
  };
  const auto add_token = [&](const AddedToken* token) {
    if (token) segments.push_back({.text = token->name, .token = token});
  };
  for (const PromptPiece& piece : pieces) {
    if (piece.kind == PieceKind::bos && (segments.empty() || tokenizer.omits_bos())) continue;
    if (piece.kind == PieceKind::bos && segments.back().token == tokenizer.bos()) continue;
    const AddedToken* added =
        piece.kind == PieceKind::added ? tokenizer.added().find(piece.text) : nullptr;
    if (piece.kind == PieceKind::bos) add_token(tokenizer.bos());
    if (piece.kind == PieceKind::eos) add_token(tokenizer.eos());
    add_token(added);
    if (piece.kind == PieceKind::text || (piece.kind == PieceKind::added && !added))
      add_text(piece.text);
  }
  return segments;
}

std::vector<int32_t> prompt_ids(const Tokenizer& tokenizer, std::span<const PromptPiece> pieces) {
  const bool emits_bos = !pieces.empty() && pieces.front().kind == PieceKind::bos;
  std::vector<int32_t> ids;
  const bool bos = tokenizer.add_bos() || (emits_bos && !tokenizer.omits_bos());
  if (tokenizer.bos() && bos) ids.push_back(tokenizer.bos_id());
  const std::vector<int32_t> rest = tokenizer.encode_segments(prompt_segments(tokenizer, pieces));
  ids.insert(ids.end(), rest.begin(), rest.end());
  return ids;
}

std::string prompt_text(const Tokenizer& tokenizer, std::span<const PromptPiece> pieces) {
  std::string text;
  for (const Segment& segment : prompt_segments(tokenizer, pieces)) text += segment.text;
  return text;
}

std::vector<int32_t> raw_prompt_ids(const Tokenizer& tokenizer, std::string_view text,
                                    SpecialTokens special) {
  std::vector<int32_t> ids = tokenizer.encode_text(text, special);
  const bool has_bos = !ids.empty() && ids.front() == tokenizer.bos_id();
  if (tokenizer.add_bos() && !has_bos) ids.insert(ids.begin(), tokenizer.bos_id());
  return ids;
}

}  // namespace ropewalk
