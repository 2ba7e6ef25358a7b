// sharded_model.h — the tiny model in two files with an index, for tests to spoil.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "tests/checkpoint/bad_rows.h"
#include "tests/checkpoint/tiny_model.h"

namespace ropewalk::test {

struct Sharded {
  TinyModel model;                                  // its files are the shards and the index
  std::map<std::string, TinyTensor> first, second;  // what each shard holds
  Json index;                                       // null: none
};

// The bytes of a file that holds these.
std::string shard_file(const std::map<std::string, TinyTensor>& tensors);

// model-0000i-of-00002.safetensors and an index. `change` sees the parts before they are written.
Write sharded(std::function<void(Sharded&)> change);

}  // namespace ropewalk::test
