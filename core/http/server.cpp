#include "core/http/server.h"

#include <sys/random.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "core/http/connection.h"
#include "core/http/listener.h"
#include "core/http/response_head.h"
#include "core/http/workers.h"

namespace ropewalk::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::chrono::milliseconds kAcceptPause{100};  // after running out of descriptors
constexpr int kAcceptsInARow = 64;                      // before other sockets are served

std::string random_id() {
  unsigned char bytes[16] = {};
  while (getrandom(bytes, sizeof bytes, 0) < 0 && errno == EINTR) {
  }
  std::string id;
  for (const unsigned char byte : bytes) {
    id += "0123456789abcdef"[byte >> 4];
    id += "0123456789abcdef"[byte & 15];
  }
  return id;
}

}  // namespace

class Server::Impl {
 public:
  Impl(Settings settings, std::vector<Route> routes, Hooks hooks)
      : service_{
            .limits = settings.limits,
            .router = Router(std::move(routes)),
            .hooks = std::move(hooks),
            .run_on_worker = [this](std::function<void()> task) { workers_.post(std::move(task)); },
            .make_id = random_id,
            .date = [this] { return date(); }},
        workers_(settings.workers) {
    for (const std::string& address : settings.listen) {
      listening_.push_back(std::make_unique<Listening>(Listener(address), io_));
      addresses_.push_back(listening_.back()->listener.address());
    }
    for (const auto& listening : listening_) wait_accept(*listening);
    thread_ = std::thread([this] { run(); });
  }

  ~Impl() {
    stop();
    wakes_->close();
  }

  void drain(std::chrono::milliseconds grace) {
    asio::post(io_, [this, grace] { begin_drain(grace); });
  }

  Ended wait() {
    std::unique_lock lock(mutex_);
    over_.wait(lock, [this] { return ended_; });
    return cut_ ? Ended::cut : Ended::finished;
  }

  void stop() {
    const std::lock_guard lock(stop_mutex_);
    if (!thread_.joinable()) return;
    asio::post(io_, [this] {
      begin_drain(std::chrono::milliseconds(0));
      cut();
      for_each_connection(&Connection::reset);
    });
    thread_.join();
    workers_.stop();
  }

  const std::vector<std::string>& addresses() const { return addresses_; }
  Counts counts() const {
    return {.connections = service_.connections,
            .answering = service_.answering,
            .requests = service_.requests};
  }

 private:
  struct Listening {
    Listening(Listener l, asio::io_context& io)
        : listener(std::move(l)), descriptor(io, listener.descriptor()) {}
    ~Listening() { close(); }
    void close() {
      if (descriptor.is_open()) descriptor.release();
      listener.close();
    }
    Listener listener;
    asio::posix::stream_descriptor descriptor;  // of the listener, which closes it
    bool waiting = false;
  };

  void run() {
    io_.run();
    const std::lock_guard lock(mutex_);
    ended_ = true;
    over_.notify_all();
  }

  std::string date() {
    const std::time_t now = std::time(nullptr);
    if (std::exchange(date_at_, now) != now) date_ = http_date();
    return date_;
  }

  bool has_room() const { return connections_.size() < service_.limits.connections; }

  void wait_accept(Listening& listening) {
    if (service_.draining || listening.waiting || !has_room()) return;
    listening.waiting = true;
    listening.descriptor.async_wait(asio::posix::descriptor_base::wait_read,
                                    [this, &listening](error_code error) {
                                      listening.waiting = false;
                                      if (!error && !service_.draining) accept(listening);
                                    });
  }

  // Whether more may be waiting.
  bool accept(Listening& listening) {
    for (int i = 0; i < kAcceptsInARow; ++i) {
      if (!has_room()) return false;
      const Accepted accepted = accept_one(listening.listener.descriptor(), service_.limits);
      if (accepted.descriptor >= 0) {
        admit(accepted);
      } else if (accepted.error == 0) {
        wait_accept(listening);
        return false;
      } else if (accepted.error != ECONNABORTED && accepted.error != EINTR) {
        pause(listening);
        return false;
      }
    }
    wait_accept(listening);
    return true;
  }

  void pause(Listening& listening) {
    listening.waiting = true;
    const auto timer = std::make_shared<asio::steady_timer>(io_, kAcceptPause);
    timer->async_wait([this, &listening, timer](error_code) {
      listening.waiting = false;
      wait_accept(listening);
    });
  }

  void admit(const Accepted& accepted) {
    const auto connection = std::make_shared<Connection>(
        io_, wakes_, accepted, service_,
        [this](const std::shared_ptr<Connection>& gone) { closed(gone); });
    connections_.insert(connection);
    ++service_.connections;
    if (++per_address_[accepted.address] > service_.limits.connections_per_address)
      return connection->turn_away({.status = 429,
                                    .code = "rate_limited",
                                    .message = "too many connections from this address"});
    connection->start();
  }

  void closed(const std::shared_ptr<Connection>& connection) {
    connections_.erase(connection);
    --service_.connections;
    const auto count = per_address_.find(connection->address());
    if (--count->second == 0) per_address_.erase(count);
    for (const auto& listening : listening_) wait_accept(*listening);
    end_if_over();
  }

  void begin_drain(std::chrono::milliseconds grace) {
    if (service_.draining) return;
    // Closing would reset the clients in the backlog; accepting them first gives each a 503.
    for (const auto& listening : listening_) {
      while (accept(*listening)) {
      }
      listening->close();
    }
    service_.draining = true;
    for_each_connection(&Connection::drain);
    timer_.expires_after(grace);
    timer_.async_wait([this](error_code error) {
      if (!error) end_grace();
    });
    end_if_over();
  }

  void end_grace() {
    if (connections_.empty()) return;
    cut();
    timer_.expires_after(service_.limits.farewell_time);
    timer_.async_wait([this](error_code error) {
      if (!error) for_each_connection(&Connection::reset);
    });
  }

  // Tells the handlers of all requests that are not answered.
  void cut() {
    cut_ = cut_ || service_.answering > 0;
    for_each_connection(&Connection::shut_down);
  }

  void for_each_connection(void (Connection::*call)()) {
    const std::set<std::shared_ptr<Connection>> all = connections_;  // the set changes meanwhile
    for (const std::shared_ptr<Connection>& connection : all)
      if (connections_.contains(connection)) ((*connection).*call)();
  }

  void end_if_over() {
    if (!service_.draining || !connections_.empty()) return;
    timer_.cancel();
    work_.reset();
  }

  asio::io_context io_{1};
  const std::shared_ptr<Wakes> wakes_ = std::make_shared<Wakes>(io_);
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io_);
  asio::steady_timer timer_{io_};  // of the drain
  Service service_;
  std::vector<std::unique_ptr<Listening>> listening_;
  std::vector<std::string> addresses_;
  std::set<std::shared_ptr<Connection>> connections_;
  std::map<std::string, uint32_t> per_address_;
  std::time_t date_at_ = 0;
  std::string date_;
  Workers workers_;
  std::thread thread_;

  std::mutex stop_mutex_;
  std::mutex mutex_;
  std::condition_variable over_;
  bool ended_ = false;
  bool cut_ = false;  // written on the I/O thread, read after its end
};

Server::Server(Settings settings, std::vector<Route> routes, Hooks hooks)
    : impl_(std::make_unique<Impl>(std::move(settings), std::move(routes), std::move(hooks))) {}
Server::~Server() = default;

const std::vector<std::string>& Server::addresses() const { return impl_->addresses(); }
Counts Server::counts() const { return impl_->counts(); }
void Server::drain(std::chrono::milliseconds grace) { impl_->drain(grace); }
Ended Server::wait() { return impl_->wait(); }
void Server::stop() { impl_->stop(); }

}  // namespace ropewalk::http
