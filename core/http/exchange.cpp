#include "core/http/exchange.h"

#include <utility>

namespace ropewalk::http {

Exchange::Exchange(uint64_t stream_limit, std::function<void()> wake)
    : stream_limit_(stream_limit), wake_(std::move(wake)) {}

void Exchange::wake_locked() {
  if (!wake_ || woken_) return;
  woken_ = true;
  wake_();
}

void Exchange::watch(ReplyEvents events) {
  std::function<void(Cancel)> cancelled;
  Cancel why{};
  {
    const std::lock_guard lock(mutex_);
    if (cancelled_) {
      cancelled = std::move(events.cancelled);
      why = *cancelled_;
    }
    events_ = std::move(events);
  }
  if (cancelled) cancelled(why);
}

std::optional<Cancel> Exchange::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

void Exchange::send(Response response) {
  const std::lock_guard lock(mutex_);
  if (answered_ || closed_) return;
  answered_ = ended_ = true;
  kind_ = Kind::whole;
  head_ = std::move(response);
  wake_locked();
}

void Exchange::begin(Response head) {
  const std::lock_guard lock(mutex_);
  if (answered_ || closed_) return;
  answered_ = true;
  kind_ = Kind::stream;
  waiting_ = std::exchange(head.body, {});
  head_ = std::move(head);
  wake_locked();
}

Write Exchange::write(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (closed_ || ended_ || !answered_) return Write::closed;
  const size_t pending = pending_locked();
  if (pending > 0 && pending + bytes.size() > stream_limit_) {
    full_ = true;
    return Write::full;
  }
  waiting_ += bytes;
  wake_locked();
  return Write::taken;
}

void Exchange::end() {
  const std::lock_guard lock(mutex_);
  if (closed_ || !answered_) return;
  ended_ = true;
  wake_locked();
}

size_t Exchange::pending() const {
  const std::lock_guard lock(mutex_);
  return pending_locked();
}

void Exchange::abandon() {
  // The events' captures may own a Reply or take locks: they are destroyed after the unlock.
  ReplyEvents events;
  const std::lock_guard lock(mutex_);
  std::swap(events, events_);
  if (ended_) return;
  abandoned_ = true;
  wake_locked();
}

Exchange::Output Exchange::take() {
  const std::lock_guard lock(mutex_);
  woken_ = false;
  Output output{.head = std::exchange(head_, std::nullopt),
                .kind = kind_,
                .bytes = std::exchange(waiting_, {}),
                .ended = ended_,
                .abandoned = abandoned_};
  sending_ = output.bytes.size();
  return output;
}

void Exchange::sent() {
  std::function<void()> writable;
  {
    const std::lock_guard lock(mutex_);
    sending_ = 0;
    if (!full_ || pending_locked() > stream_limit_ / 2) return;
    full_ = false;
    writable = events_.writable;
  }
  if (writable) writable();
}

void Exchange::cancel(Cancel why) {
  std::function<void(Cancel)> cancelled;
  {
    const std::lock_guard lock(mutex_);
    if (why != Cancel::shutdown) closed_ = true;
    if (cancelled_ || ended_) return;
    cancelled_ = why;
    cancelled = std::exchange(events_.cancelled, {});
  }
  if (cancelled) cancelled(why);
}

void Exchange::detach() {
  ReplyEvents events;  // destroyed after the unlock, as in abandon()
  const std::lock_guard lock(mutex_);
  std::swap(events, events_);
  closed_ = true;
  wake_ = {};
}

namespace {

class Handle final : public Reply {
 public:
  explicit Handle(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~Handle() override { exchange_->abandon(); }

  void watch(ReplyEvents events) override { exchange_->watch(std::move(events)); }
  std::optional<Cancel> cancelled() const override { return exchange_->cancelled(); }
  void send(Response response) override { exchange_->send(std::move(response)); }
  void begin(Response head) override { exchange_->begin(std::move(head)); }
  Write write(std::string_view bytes) override { return exchange_->write(bytes); }
  void end() override { exchange_->end(); }
  size_t pending() const override { return exchange_->pending(); }

 private:
  const std::shared_ptr<Exchange> exchange_;
};

}  // namespace

std::shared_ptr<Reply> reply_of(std::shared_ptr<Exchange> exchange) {
  return std::make_shared<Handle>(std::move(exchange));
}

}  // namespace ropewalk::http
