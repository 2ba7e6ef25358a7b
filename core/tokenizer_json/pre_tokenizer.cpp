#include "core/tokenizer_json/pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/json/json.h"
#include "core/tokenizer_json/component.h"

namespace ropewalk {
namespace {

constexpr char kKnownPreTokenizers[] = "ByteLevel, Digits, Metaspace, Sequence, Split";
// openai/gpt-2 src/encoder.py, as tokenizers' ByteLevel has it.
constexpr char kGpt2[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace

class PreTokenizer::Reader {
 public:
  explicit Reader(PreTokenizer& into) : into_(into) {}

  void take(const std::string& type, const JsonFields& fields) {
    if (into_.byte_level_)
      fields.fail(
          "type",
          fmt::format("found {} after ByteLevel, expected ByteLevel at the end", printable(type)),
          "");
    if (type == "ByteLevel") return byte_level(fields);
    if (type == "Split") return split(fields);
    if (type == "Digits") return digits(fields);
    if (type == "Metaspace") return metaspace(fields);
    refuse_component(fields, type, kKnownPreTokenizers);
  }

 private:
  void byte_level(const JsonFields& fields) {
    if (read_flag(fields, "add_prefix_space", true))
      into_.steps_.push_back(Prefix{.text = " ", .where = PrependScheme::always});
    if (read_flag(fields, "use_regex", true))
      into_.steps_.push_back(Split{.pattern = Pattern::regex(kGpt2, "ByteLevel")});
    into_.byte_level_ = true;
  }

  void split(const JsonFields& fields) {
    const PatternText text = read_pattern(fields);
    Split split{.pattern = text.regex ? Pattern::regex(text.text, fields.where("pattern.Regex"))
                                      : Pattern::literal(text.text)};
    const std::string behavior = fields.text("behavior");
    static constexpr std::pair<std::string_view, Behavior> kBehaviors[] = {
        {"Isolated", Behavior::isolated},
        {"Removed", Behavior::removed},
        {"Contiguous", Behavior::contiguous},
        {"MergedWithPrevious", Behavior::merged_with_previous},
        {"MergedWithNext", Behavior::merged_with_next}};
    const auto found = std::find_if(std::begin(kBehaviors), std::end(kBehaviors),
                                    [&](const auto& known) { return known.first == behavior; });
    if (found == std::end(kBehaviors))
      fields.fail("behavior",
                  fmt::format("found \"{}\", expected Isolated, Removed, Contiguous, "
                              "MergedWithPrevious or MergedWithNext",
                              printable(behavior)),
                  "");
    split.behavior = found->second;
    split.inverted = read_flag(fields, "invert", false);
    into_.steps_.push_back(std::move(split));
  }

  void digits(const JsonFields& fields) {
    const bool each = read_flag(fields, "individual_digits", false);
    into_.steps_.push_back(Split{.pattern = Pattern::regex(R"(\p{N})", "Digits"),
                                 .behavior = each ? Behavior::isolated : Behavior::contiguous});
  }

  void metaspace(const JsonFields& fields) {
    const MetaspaceText metaspace = read_metaspace(fields);
    into_.steps_.push_back(
        Prefix{.text = metaspace.replacement, .where = metaspace.scheme, .replaces_spaces = true});
    if (read_flag(fields, "split", true))
      into_.steps_.push_back(Split{.pattern = Pattern::literal(metaspace.replacement),
                                   .behavior = Behavior::merged_with_next});
  }

  PreTokenizer& into_;
};

PreTokenizer::PreTokenizer(const Json& pre_tokenizer, const JsonSource& source) {
  Reader reader(*this);
  for_each_component(
      pre_tokenizer, source, "pre_tokenizer", "pretokenizers",
      [&](const std::string& type, const JsonFields& fields) { reader.take(type, fields); });
}

CutText PreTokenizer::cut(std::string text, TextPlace place) const {
  CutText cut;
  if (text.empty()) return cut;
  cut.pieces.push_back({0, static_cast<uint32_t>(text.size())});
  cut.text = std::move(text);
  // The text as patterns see it where that differs, made once for neighbouring patterns of a kind.
  std::string subject;
  StandIns made = StandIns::none;
  for (const auto& step : steps_) {
    if (const auto* prefix = std::get_if<Prefix>(&step)) {
      apply(*prefix, cut, place);
      made = StandIns::none;
      continue;
    }
    const auto& split = std::get<Split>(step);
    const StandIns kind = split.pattern.stand_ins();
    if (kind != made) {
      const bool differs = needs_stand_ins(cut.text, kind);
      subject = differs ? with_stand_ins(cut.text, kind) : "";
      made = kind;
    }
    apply(split, cut, made == StandIns::none || subject.empty() ? cut.text : subject);
  }
  return cut;
}

void PreTokenizer::apply(const Prefix& prefix, CutText& cut, TextPlace place) {
  CutText changed;
  for (const TextRange& range : cut.pieces) {
    std::string piece = cut.text.substr(range.begin, range.end - range.begin);
    if (prefix.replaces_spaces) piece = replaced(std::move(piece), " ", prefix.text);
    const bool at_front = range.begin == 0;
    const bool wanted =
        prefix.where == PrependScheme::always
            ? !(at_front && place == TextPlace::continued)
            : prefix.where == PrependScheme::first && at_front && place == TextPlace::first;
    const auto begin = static_cast<uint32_t>(changed.text.size());
    if (wanted && !piece.starts_with(prefix.text)) changed.text += prefix.text;
    changed.text += piece;
    changed.pieces.push_back({begin, static_cast<uint32_t>(changed.text.size())});
  }
  cut = std::move(changed);
}

void PreTokenizer::apply(const Split& split, CutText& cut, std::string_view subject) {
  std::vector<TextRange> pieces, matches;
  std::vector<Match> parts;
  for (const TextRange& piece : cut.pieces) {
    matches.clear();
    parts.clear();
    split.pattern.find(subject, piece, matches);
    uint32_t done = piece.begin;
    for (const TextRange& match : matches) {
      if (done != match.begin) parts.push_back({{done, match.begin}, split.inverted});
      parts.push_back({match, !split.inverted});
      done = match.end;
    }
    if (done != piece.end) parts.push_back({{done, piece.end}, split.inverted});
    gather(parts, split.behavior, pieces);
  }
  cut.pieces = std::move(pieces);
}

// Source: huggingface/tokenizers, src/tokenizer/normalizer.rs, NormalizedString::split.
void PreTokenizer::gather(const std::vector<Match>& parts, Behavior behavior,
                          std::vector<TextRange>& pieces) {
  const size_t before = pieces.size();
  // Whether the part joins the piece made last, for behaviours that look at its neighbour.
  const auto joins = [&](const Match& part, bool neighbour_matched) {
    if (pieces.size() == before) return false;
    return behavior == Behavior::contiguous ? part.is_match == neighbour_matched
                                            : part.is_match && !neighbour_matched;
  };
  bool neighbour_matched = false;
  switch (behavior) {
    case Behavior::isolated:
      for (const Match& part : parts) pieces.push_back(part.range);
      break;
    case Behavior::removed:
      for (const Match& part : parts)
        if (!part.is_match) pieces.push_back(part.range);
      break;
    case Behavior::contiguous:
    case Behavior::merged_with_previous:
      for (const Match& part : parts) {
        if (joins(part, neighbour_matched))
          pieces.back().end = part.range.end;
        else
          pieces.push_back(part.range);
        neighbour_matched = part.is_match;
      }
      break;
    case Behavior::merged_with_next:
      for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
        if (joins(*part, neighbour_matched))
          pieces.back().begin = part->range.begin;
        else
          pieces.push_back(part->range);
        neighbour_matched = part->is_match;
      }
      std::reverse(pieces.begin() + static_cast<std::ptrdiff_t>(before), pieces.end());
      break;
  }
  const auto empty = [](const TextRange& piece) { return piece.begin == piece.end; };
  pieces.erase(
      std::remove_if(pieces.begin() + static_cast<std::ptrdiff_t>(before), pieces.end(), empty),
      pieces.end());
}

}  // namespace ropewalk
