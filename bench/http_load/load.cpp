#include "bench/http_load/load.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <random>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "bench/http_load/answer_reader.h"

namespace ropewalk::bench {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

struct Slot {
  int descriptor = -1;
  bool busy = false;
  std::string_view to_send;
  AnswerReader reader;
  Clock::time_point due, last_events;
  bool first_byte = false;
  uint64_t events = 0;
};

class Load {
 public:
  explicit Load(const LoadPlan& plan)
      : plan_(plan), slots_(plan.connections), random_(plan.seed), epoll_(epoll_create1(0)) {
    if (epoll_ < 0) throw std::runtime_error("http_load: no epoll");
  }
  ~Load() {
    for (Slot& slot : slots_)
      if (slot.descriptor >= 0) ::close(slot.descriptor);
    ::close(epoll_);
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  LoadResult run() {
    const Clock::time_point begin = Clock::now();
    next_due_ = begin;
    while (result_.answered + result_.refused + result_.broken < plan_.count) {
      arrive();
      start();
      wait();
    }
    result_.seconds = milliseconds(Clock::now() - begin) / 1000;
    return std::move(result_);
  }

 private:
  // The requests that are due by now.
  void arrive() {
    const Clock::time_point now = Clock::now();
    if (plan_.rate <= 0) {
      const auto idle = static_cast<uint64_t>(
          std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.busy; }));
      while (due_.size() < idle && arrived_ < plan_.count) due_.push_back(now), ++arrived_;
      return;
    }
    std::exponential_distribution<double> gap(plan_.rate);
    while (next_due_ <= now && arrived_ < plan_.count) {
      due_.push_back(next_due_);
      ++arrived_;
      next_due_ +=
          std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(gap(random_)));
    }
  }

  void start() {
    for (Slot& slot : slots_) {
      if (due_.empty()) return;
      if (slot.busy) continue;
      slot.due = slot.last_events = due_.front();
      due_.pop_front();
      slot.busy = true;
      slot.first_byte = false;
      slot.events = 0;
      slot.reader.reset();
      slot.to_send = plan_.requests[started_++ % plan_.requests.size()];
      if (slot.descriptor < 0) connect(slot);
      if (slot.descriptor >= 0) send(slot);
    }
  }

  void connect(Slot& slot) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(plan_.port);
    inet_pton(AF_INET, plan_.host.c_str(), &to.sin_addr);
    slot.descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (slot.descriptor < 0) throw std::runtime_error("http_load: no socket");
    if (::connect(slot.descriptor, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
      return finish(slot, result_.broken, true);
    const int on = 1;
    setsockopt(slot.descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &slot;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, slot.descriptor, &event);
  }

  // A request is small beside a socket's buffer, so that sending may block.
  void send(Slot& slot) {
    while (!slot.to_send.empty()) {
      const ssize_t sent =
          ::send(slot.descriptor, slot.to_send.data(), slot.to_send.size(), MSG_NOSIGNAL);
      if (sent < 0) return finish(slot, result_.broken, true);
      slot.to_send.remove_prefix(static_cast<size_t>(sent));
    }
  }

  void wait() {
    int timeout = static_cast<int>(milliseconds(plan_.patience));
    const bool more_to_come = plan_.rate > 0 && arrived_ < plan_.count;
    const bool asked =
        std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.busy; });
    if (!asked && !more_to_come) return;  // no connection was available
    if (more_to_come)
      timeout = std::max(0, static_cast<int>(milliseconds(next_due_ - Clock::now())) + 1);
    std::array<epoll_event, 64> events{};
    const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout);
    if (ready == 0 && !more_to_come) throw std::runtime_error("http_load: the server says nothing");
    for (int i = 0; i < ready; ++i)
      read(*static_cast<Slot*>(events[static_cast<size_t>(i)].data.ptr));
  }

  void read(Slot& slot) {
    const ssize_t got = recv(slot.descriptor, bytes_.data(), bytes_.size(), 0);
    const Clock::time_point now = Clock::now();
    if (!slot.busy) return close(slot);  // an idle connection has ended
    using State = AnswerReader::State;
    const State state = got > 0    ? slot.reader.read({bytes_.data(), static_cast<size_t>(got)})
                        : got == 0 ? slot.reader.end()
                                   : State::broken;
    if (got > 0 && !std::exchange(slot.first_byte, true))
      result_.first_byte.push_back(milliseconds(now - slot.due));
    note_events(slot, now);
    if (state == State::broken) return finish(slot, result_.broken, true);
    if (state == State::done) {
      const bool good = slot.reader.status() / 100 == 2;
      if (good) result_.whole.push_back(milliseconds(now - slot.due));
      const bool cut = good && slot.events > 0 && !slot.reader.said_done();
      finish(slot,
             cut    ? result_.broken
             : good ? result_.answered
                    : result_.refused,
             got == 0 || slot.reader.closes());
    }
  }

  void note_events(Slot& slot, Clock::time_point now) {
    const uint64_t events = slot.reader.events();
    if (events == slot.events || slot.reader.status() / 100 != 2) return;
    const uint64_t before = std::exchange(slot.events, events);
    if (events <= plan_.skipped_events) return;
    if (before <= plan_.skipped_events) {
      result_.first_event.push_back(milliseconds(now - slot.due));
    } else {
      result_.gaps.push_back(milliseconds(now - slot.last_events));
    }
    slot.last_events = now;
  }

  void finish(Slot& slot, uint64_t& counter, bool with_connection) {
    ++counter;
    result_.events += slot.reader.events();
    result_.body_bytes += slot.reader.body_bytes();
    slot.busy = false;
    if (with_connection) close(slot);
  }

  static void close(Slot& slot) { ::close(std::exchange(slot.descriptor, -1)); }

  const LoadPlan& plan_;
  std::vector<Slot> slots_;
  std::mt19937_64 random_;
  int epoll_;
  std::deque<Clock::time_point> due_;  // of requests that wait for a connection
  Clock::time_point next_due_;
  uint64_t arrived_ = 0, started_ = 0;
  LoadResult result_;
  std::array<char, 64 << 10> bytes_{};
};

}  // namespace

LoadResult run_load(const LoadPlan& plan) { return Load(plan).run(); }

}  // namespace ropewalk::bench
