#include "core/schedule/outbox.h"

#include <iterator>
#include <utility>

namespace ropewalk {
namespace {

template <class T>
void move_behind(std::vector<T>& to, std::vector<T>& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

uint64_t bytes_of(const Update& update) {
  uint64_t bytes = update.text.size();
  for (const ScoredToken& token : update.prompt)
    bytes += sizeof(token) + token.top.size() * sizeof(IdLogprob);
  for (const NewToken& token : update.tokens)
    bytes += sizeof(token) + token.token.top.size() * sizeof(IdLogprob);
  return bytes;
}

}  // namespace

Outbox::Outbox(uint64_t limit, std::function<void()> wake)
    : limit_(limit), wake_(std::move(wake)) {}

void Outbox::watch(std::function<void()> ready) {
  bool there = false;
  {
    const std::lock_guard lock(mutex_);
    if (cancelled_) return;
    std::swap(ready_, ready);
    there = !pending_.empty();
    if (there) ready = ready_;
  }
  if (there) ready();
}

Update Outbox::take() { return take_locked(std::unique_lock(mutex_)); }

Update Outbox::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !pending_.empty(); });
  return take_locked(std::move(lock));
}

Update Outbox::take_locked(std::unique_lock<std::mutex> lock) {
  const bool was_full = bytes_ > limit_;
  Update taken = std::exchange(pending_, {});
  bytes_ = 0;
  std::function<void()> last;  // goes without the lock: it may own anything
  if (taken.end) std::swap(last, ready_);
  lock.unlock();
  if (was_full) wake_();
  return taken;
}

void Outbox::cancel() {
  std::function<void()> last;
  {
    const std::lock_guard lock(mutex_);
    if (cancelled_.exchange(true)) return;
    std::swap(last, ready_);
  }
  wake_();
}

void Outbox::push(Update update) {
  if (update.empty()) return;
  std::function<void()> ready;
  {
    const std::lock_guard lock(mutex_);
    if (pending_.empty()) ready = ready_;
    bytes_ += bytes_of(update);
    move_behind(pending_.prompt, update.prompt);
    pending_.text += update.text;
    move_behind(pending_.tokens, update.tokens);
    pending_.end = std::move(update.end);
  }
  changed_.notify_all();
  if (ready) ready();
}

bool Outbox::full() const {
  const std::lock_guard lock(mutex_);
  return bytes_ > limit_;
}

}  // namespace ropewalk
