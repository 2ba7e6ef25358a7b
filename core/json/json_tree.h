// json_tree.h — builds a Json of a stream of events; a reader of a large document may hand on those
// of its small parts.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/json/json.h"
#include "core/json/json_events.h"

namespace ropewalk {

class JsonTreeBuilder final : public JsonEvents {
 public:
  // REQUIRES: `source` and `root` outlive this; the events are those of walk_json().
  JsonTreeBuilder(const JsonSource& source, Json& root) : source_(source), root_(root) {}

  void null() override { add(nullptr); }
  void boolean(bool value) override { add(value); }
  void integer(int64_t value) override { add(value); }
  void unsigned_integer(uint64_t value) override { add(value); }
  void number(double value) override { add(value); }
  void text(std::string value) override { add(std::move(value)); }
  void key(std::string name) override { key_ = std::move(name); }
  void begin_object() override { open_.push_back(add(Json::object())); }
  void end_object() override { open_.pop_back(); }
  void begin_array() override { open_.push_back(add(Json::array())); }
  void end_array() override { open_.pop_back(); }

 private:
  Json* add(Json value);  // throws Error for more than two million values

  const JsonSource& source_;
  Json& root_;
  std::vector<Json*> open_;
  std::string key_;
  size_t values_ = 0;
};

}  // namespace ropewalk
