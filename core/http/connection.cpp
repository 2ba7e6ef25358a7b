#include "core/http/connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

#include "core/base/log.h"
#include "core/http/reply.h"

namespace ropewalk::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr int kWritesInARow = 16;  // before other connections are served

thread_local Together* together = nullptr;

}  // namespace

Connection::Connection(asio::io_context& io, std::shared_ptr<Wakes> wakes, const Accepted& accepted,
                       Service& service,
                       std::function<void(const std::shared_ptr<Connection>&)> closed)
    : io_(io),
      wakes_(std::move(wakes)),
      socket_(io, asio::generic::stream_protocol(accepted.family, 0), accepted.descriptor),
      timer_(io),
      service_(service),
      closed_(std::move(closed)),
      peer_(accepted.peer),
      address_(accepted.address),
      phase_began_(Clock::now()) {}

void Connection::prepare() {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  // Any thread may call it.
  const auto wake = [wakes = wakes_, weak = weak_from_this()] { wakes->add(weak); };
  conversation_ = std::make_unique<Conversation>(service_, peer_, wake);
}

// Runs an event handler, then settle().
template <class Event>
void Connection::on(Event&& event) {
  if (!socket_.is_open()) return;
  try {
    event();
    settle();
  } catch (const std::exception& error) {  // no memory, or a hook that throws
    warn(peer_ + ": " + error.what());
    close();
  }
}

void Connection::start() {
  prepare();
  on([this] { read(); });
}

void Connection::turn_away(Refusal refusal) {
  prepare();
  on([&] { conversation_->turn_away(std::move(refusal)); });
}

void Connection::pump() {
  on([this] { conversation_->pump(); });
}

void Connection::drain() {
  on([this] {
    read();  // bytes that have arrived get an answer, if only a 503
    conversation_->drain();
  });
}

void Connection::shut_down() {
  on([this] { conversation_->shut_down(); });
}

void Connection::reset() {
  on([this] { conversation_->lose(Cancel::shutdown); });
}

void Connection::wait_readable() {
  if (std::exchange(reading_, true)) return;
  socket_.async_wait(asio::socket_base::wait_read, [self = shared_from_this()](error_code error) {
    self->reading_ = false;
    if (!error) self->on([&] { self->read(); });
  });
}

void Connection::read() {
  error_code error;
  const size_t bytes = socket_.read_some(asio::buffer(service_.read_buffer), error);
  if (error == asio::error::would_block || error == asio::error::try_again) return;
  if (error) {
    lose(error);
  } else if (!lingering_) {
    conversation_->receive({service_.read_buffer.data(), bytes});
  }
}

// The kernel may see before us that the peer takes nothing (TCP_USER_TIMEOUT).
void Connection::lose(const error_code& error) {
  conversation_->lose(error == asio::error::timed_out ? Cancel::stalled : Cancel::client);
}

void Connection::wait_writable() {
  if (std::exchange(writing_, true)) return;
  wrote_ = Clock::now();
  socket_.async_wait(asio::socket_base::wait_write, [self = shared_from_this()](error_code error) {
    self->writing_ = false;
    if (!error) self->on([] {});
  });
}

void Connection::flush() {
  for (int i = 0; !conversation_->output().empty(); ++i) {
    if (writing_) return;
    if (i == kWritesInARow)
      return asio::post(io_, [self = shared_from_this()] { self->on([] {}); });
    const std::string_view output = conversation_->output();
    error_code error;
    const size_t bytes = socket_.write_some(asio::buffer(output.data(), output.size()), error);
    if (error == asio::error::would_block || error == asio::error::try_again)
      return wait_writable();
    if (error) return lose(error);
    conversation_->consume(bytes);
  }
}

// Runs after every event: sends what is pending, then waits for the next event.
void Connection::settle() {
  flush();
  using Phase = Conversation::Phase;
  if (conversation_->phase() == Phase::reset) return close();
  if (conversation_->phase() != phase_ || conversation_->served() != served_) {
    phase_ = conversation_->phase();
    served_ = conversation_->served();
    phase_began_ = Clock::now();
  }
  if (phase_ == Phase::closing && !std::exchange(lingering_, true)) {
    // Closing with unread bytes would reset the connection, and the client would lose the answer.
    error_code ignored;
    socket_.shutdown(asio::socket_base::shutdown_send, ignored);
  }
  watch_deadline();
  wait_readable();
}

void Connection::close() {
  if (!socket_.is_open()) return;
  error_code ignored;
  // Reset: unsent bytes are dropped, and the peer cannot mistake this for a clean end.
  if (!lingering_) socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
  timer_.cancel();
  closed_(shared_from_this());
}

Connection::Clock::time_point Connection::deadline() const {
  using Phase = Conversation::Phase;
  const Limits& limits = service_.limits;
  if (lingering_) return phase_began_ + limits.linger_time;
  if (writing_) return wrote_ + limits.write_time;
  switch (phase_) {
    case Phase::idle:
      return phase_began_ + (served_ == 0 ? limits.head_time : limits.idle_time);
    case Phase::head:
      return phase_began_ + limits.head_time;
    case Phase::body: {
      const uint64_t milliseconds = conversation_->body_received() * 1000 / limits.body_rate;
      return phase_began_ + limits.body_time + std::chrono::milliseconds(milliseconds);
    }
    default:
      return Clock::time_point::max();  // an answer may take as long as its handler likes
  }
}

// Most deadlines move to a later time before they are reached. So the timer is set again only when
// it has expired, or when a deadline is earlier.
void Connection::watch_deadline() {
  const Clock::time_point at = deadline();
  if (at >= timer_at_) return;
  timer_at_ = at;
  timer_.expires_at(at);
  timer_.async_wait([self = shared_from_this()](error_code error) {
    if (error) return;
    self->timer_at_ = Clock::time_point::max();
    self->on([&] {
      if (Clock::now() >= self->deadline()) self->on_deadline();
    });
  });
}

void Connection::on_deadline() {
  using Phase = Conversation::Phase;
  if (lingering_) return conversation_->lose(Cancel::client);
  if (writing_) return conversation_->lose(Cancel::stalled);
  if (phase_ == Phase::idle) return conversation_->drain();
  conversation_->time_out();
}

void Wakes::add(std::weak_ptr<Connection> connection) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(connection));
    if (waiting_.size() > 1) return;
  }
  if (together)
    together->woken_.push_back(shared_from_this());
  else
    post();
}

void Wakes::post() {
  const std::lock_guard lock(mutex_);
  if (io_) asio::post(*io_, [self = shared_from_this()] { self->run(); });
}

void Wakes::run() {
  std::vector<std::weak_ptr<Connection>> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(waiting_);
  }
  for (const auto& connection : waiting)
    if (const auto here = connection.lock()) here->pump();
}

void Wakes::close() {
  const std::lock_guard lock(mutex_);
  io_ = nullptr;
}

Together::Together() : outer_(std::exchange(together, this)) {}

Together::~Together() {
  together = outer_;
  for (const auto& wakes : woken_) wakes->post();
}

}  // namespace ropewalk::http
