#include "core/bpe/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/json/json_fields.h"

namespace ropewalk {
namespace {

[[noreturn]] void refuse_vocabulary(const JsonSource& source, std::string_view field,
                                    std::string_view what) {
  throw Error(source.code, fmt::format("{}: {}", source.file, field), what,
              "The file is damaged: download it again");
}

}  // namespace

BpeVocabulary::BpeVocabulary(BpeModel model, const JsonSource& source)
    : model_(std::move(model)), names_(model_.vocabulary.size()) {
  int32_t max_id = -1;
  for (const BpeModel::Entry& entry : model_.vocabulary) {
    names_.insert(model_.text(entry.name), entry.id);
    max_id = std::max(max_id, entry.id);
  }
  by_id_.resize(static_cast<size_t>(max_id + 1));
  for (const BpeModel::Entry& entry : model_.vocabulary) {
    TokenName& place = by_id_[static_cast<size_t>(entry.id)];
    if (place.size > 0)
      refuse_vocabulary(
          source, "model.vocab",
          fmt::format("\"{}\" and \"{}\" have the id {}, expected one each",
                      printable(model_.text(place)), printable(model_.text(entry.name)), entry.id));
    place = entry.name;
  }
  if (!model_.unknown) return;
  unknown_ = names_.find(*model_.unknown);
  if (unknown_ < 0)
    refuse_vocabulary(source, "model.unk_token",
                      fmt::format("\"{}\" is not in the vocabulary", printable(*model_.unknown)));
}

std::string_view BpeVocabulary::name_of(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= by_id_.size()) return {};
  return model_.text(by_id_[static_cast<size_t>(id)]);
}

}  // namespace ropewalk
