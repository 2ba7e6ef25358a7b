#include "core/exec/prefix_cache.h"

#include <algorithm>

namespace ropewalk {

bool PrefixCache::ById::operator()(std::span<const int32_t> a, std::span<const int32_t> b) const {
  return std::ranges::lexicographical_compare(a, b);
}

PrefixCache::PrefixCache(KvCache& cache, const RopeTables& rope)
    : cache_(cache), enabled_(rope.keys_stay_valid()) {}

PrefixCache::~PrefixCache() {
  for (const Node* node : order_) cache_.leave(node->page);
}

std::span<const int32_t> PrefixCache::page_ids(std::span<const int32_t> ids, uint32_t page) const {
  return ids.subspan(size_t{page} * cache_.page_tokens(), cache_.page_tokens());
}

// The nodes of the first `pages` pages of `ids`, as far as they are known.
std::vector<PrefixCache::Node*> PrefixCache::walk(std::string_view salt,
                                                  std::span<const int32_t> ids,
                                                  uint32_t pages) const {
  std::vector<Node*> path;
  const auto root = roots_.find(salt);
  if (root == roots_.end()) return path;
  const Children* children = &root->second;
  while (path.size() < pages) {
    const auto found = children->find(page_ids(ids, static_cast<uint32_t>(path.size())));
    if (found == children->end()) break;
    path.push_back(found->second.get());
    children = &path.back()->children;
  }
  return path;
}

// From the last to the first, so that a child never stands behind its parent.
void PrefixCache::touch(std::span<Node* const> path) {
  for (size_t i = path.size(); i > 0; --i) order_.splice(order_.end(), order_, path[i - 1]->place);
}

std::vector<uint32_t> PrefixCache::find(std::string_view salt, std::span<const int32_t> ids) {
  if (ids.empty()) return {};
  const auto most = static_cast<uint32_t>((ids.size() - 1) / cache_.page_tokens());
  const std::vector<Node*> path = walk(salt, ids, most);
  touch(path);
  std::vector<uint32_t> pages;
  for (const Node* node : path) pages.push_back(node->page);
  return pages;
}

void PrefixCache::insert(std::string_view salt, CachedText& text) {
  const uint32_t full = text.cached() / cache_.page_tokens();
  if (!enabled_ || full == 0) return;
  std::vector<Node*> path = walk(salt, text.ids(), full);
  for (uint32_t i = 0; i < path.size(); ++i)
    if (path[i]->page != text.sequence().pages()[i]) text.replace_page(i, path[i]->page);
  const auto root = roots_.try_emplace(std::string(salt)).first;
  for (auto i = static_cast<uint32_t>(path.size()); i < full; ++i) {
    Node* const parent = path.empty() ? nullptr : path.back();
    Children& siblings = parent ? parent->children : root->second;
    const std::span<const int32_t> ids = page_ids(text.ids(), i);
    const uint32_t page = text.sequence().pages()[i];
    auto node = std::make_unique<Node>(Node{page, parent, root, {}, {}, {}});
    node->place = order_.insert(order_.end(), node.get());
    path.push_back(node.get());
    path.back()->self =
        siblings.emplace(std::vector<int32_t>(ids.begin(), ids.end()), std::move(node)).first;
    cache_.use(page);
  }
  touch(path);
}

uint32_t PrefixCache::evictable() const {
  return static_cast<uint32_t>(std::ranges::count_if(
      order_, [&](const Node* node) { return cache_.users(node->page) == 1; }));
}

uint32_t PrefixCache::evict(uint32_t count) {
  uint32_t freed = 0;
  for (auto place = order_.begin(); place != order_.end() && freed < count;) {
    Node* const node = *place++;
    if (!node->children.empty() || cache_.users(node->page) > 1) continue;
    remove(node);
    ++freed;
  }
  return freed;
}

void PrefixCache::remove(Node* leaf) {
  cache_.leave(leaf->page);
  order_.erase(leaf->place);
  const Roots::iterator root = leaf->root;
  (leaf->parent ? leaf->parent->children : root->second).erase(leaf->self);
  if (root->second.empty()) roots_.erase(root);
}

}  // namespace ropewalk
