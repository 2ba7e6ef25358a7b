// connection.h — a conversation over a socket: reads, writes, time limits. Lives on the I/O thread.
//
// A read is always pending, so that a client that leaves is noticed while its answer is being made.
// Owned by the server's set and by its pending operations.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/http/conversation.h"
#include "core/http/listener.h"

namespace ropewalk::http {

class Connection;

// How other threads make the I/O thread look at connections: one call of it for all that wait, as
// each would cost it a switch of threads. Made by std::make_shared: what has been posted owns it.
class Wakes : public std::enable_shared_from_this<Wakes> {
 public:
  explicit Wakes(boost::asio::io_context& io) : io_(&io) {}

  // Threads: any. Connection::pump() follows on the I/O thread, unless the connection or the server
  // has gone; within a Together of this thread it follows when that ends.
  void add(std::weak_ptr<Connection> connection);
  // From now on nothing is posted: the io_context may go.
  void close();

 private:
  friend class Together;

  void post();
  void run();

  std::mutex mutex_;
  boost::asio::io_context* io_;
  std::vector<std::weak_ptr<Connection>> waiting_;  // not empty: run() will be called
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // Takes over the descriptor. `closed` is called once, when the socket has been closed.
  Connection(boost::asio::io_context& io, std::shared_ptr<Wakes> wakes, const Accepted& accepted,
             Service& service, std::function<void(const std::shared_ptr<Connection>&)> closed);

  void start();
  void turn_away(Refusal refusal);  // instead of start()
  void pump();                      // its handler has said something
  void drain();
  void shut_down();
  void reset();

  const std::string& address() const { return address_; }

 private:
  using Clock = std::chrono::steady_clock;

  template <class Event>
  void on(Event&& event);
  void prepare();
  void wait_readable();
  void read();
  void lose(const boost::system::error_code& error);
  void wait_writable();
  void flush();
  void settle();
  void close();
  Clock::time_point deadline() const;
  void watch_deadline();
  void on_deadline();

  boost::asio::io_context& io_;
  const std::shared_ptr<Wakes> wakes_;
  boost::asio::generic::stream_protocol::socket socket_;
  boost::asio::steady_timer timer_;
  Service& service_;
  std::function<void(const std::shared_ptr<Connection>&)> closed_;
  const std::string peer_, address_;
  std::unique_ptr<Conversation> conversation_;

  Conversation::Phase phase_ = Conversation::Phase::idle;  // as last seen, like served_
  uint64_t served_ = 0;
  Clock::time_point phase_began_, wrote_;
  Clock::time_point timer_at_ = Clock::time_point::max();
  bool reading_ = false, writing_ = false, lingering_ = false;
};

}  // namespace ropewalk::http
