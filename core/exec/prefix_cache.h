// prefix_cache.h — full pages whose tokens are known, so that a text that begins with the same
// tokens need not compute them again.
//
//   salt "" ── page of ids 0..63 ──┬── 64..127 ──── 128..191
//                                  └── 64..127 of another text
//
// A tree: a page is found by its ids below the page that stands before it, and ids are compared, so
// that foreign text is never taken for one's own. The cache is one of a page's users; where it is
// the only one the page is idle and may be evicted, children before their parents, those first that
// were not asked for the longest. Who uses a page uses those before it, so the pages behind an idle
// one are idle. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/exec/cached_text.h"
#include "core/exec/kv_cache.h"
#include "core/model/rope_tables.h"

namespace ropewalk {

class PrefixCache {
 public:
  // Knows and finds nothing where keys do not stay valid. REQUIRES: both outlive this.
  PrefixCache(KvCache& cache, const RopeTables& rope);
  ~PrefixCache();
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  // The known pages that `ids` begin with under `salt`. At least one token is left to be run,
  // because its logits are wanted.
  std::vector<uint32_t> find(std::string_view salt, std::span<const int32_t> ids);

  // Makes the full pages of `text` known. Where one is known already the text uses that one from
  // now on, and its own is free. REQUIRES: finite logits have been read behind them.
  void insert(std::string_view salt, CachedText& text);

  // How many pages evict() could free.
  uint32_t evictable() const;
  // Frees at most `count` idle pages. Returns how many.
  uint32_t evict(uint32_t count);

  uint32_t pages() const { return static_cast<uint32_t>(order_.size()); }  // known

 private:
  struct Node;
  struct ById {
    using is_transparent = void;
    bool operator()(std::span<const int32_t> a, std::span<const int32_t> b) const;
  };
  using Children = std::map<std::vector<int32_t>, std::unique_ptr<Node>, ById>;
  using Roots = std::map<std::string, Children, std::less<>>;
  using Order = std::list<Node*>;

  struct Node {
    uint32_t page;
    Node* parent;          // none: the page is a text's first
    Roots::iterator root;  // of its salt
    Children::iterator self;
    Order::iterator place;
    Children children;
  };

  std::span<const int32_t> page_ids(std::span<const int32_t> ids, uint32_t page) const;
  std::vector<Node*> walk(std::string_view salt, std::span<const int32_t> ids,
                          uint32_t pages) const;
  void touch(std::span<Node* const> path);
  void remove(Node* leaf);

  KvCache& cache_;
  const bool enabled_;
  Roots roots_;
  Order order_;  // asked for the longest ago first; children before their parents
};

}  // namespace ropewalk
