#include "bench/http_load/self.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/http/server.h"

namespace ropewalk::bench {

class SelfServer::Impl {
 public:
  Impl(uint32_t events, std::chrono::microseconds interval)
      : events_(events),
        interval_(interval),
        server_({.listen = {"127.0.0.1:0"}, .limits = {}}, routes(), {}),
        writer_([this] { write(); }) {}
  ~Impl() {
    stopped_ = true;
    writer_.join();
  }
  const std::string& address() const { return server_.addresses()[0]; }

 private:
  struct Stream {
    std::shared_ptr<http::Reply> reply;
    uint32_t written = 0;
  };

  std::vector<http::Route> routes() {
    return {{"GET", "/events", http::RunOn::worker, http::Accepts::anything,
             [this](const http::Request&, std::shared_ptr<http::Reply> reply) {
               reply->begin(
                   {.content_type = "text/event-stream; charset=utf-8", .body = ": ropewalk\n\n"});
               const std::lock_guard lock(mutex_);
               streams_.push_back({std::move(reply)});
             }},
            {"GET", "/probe", http::RunOn::io_thread, http::Accepts::anything,
             [](const http::Request&, const std::shared_ptr<http::Reply>& reply) {
               reply->send({.body = "ok"});
             }}};
  }

  void write() {
    const std::string event = "data: " + std::string(92, 'x') + "\n\n";
    auto due = std::chrono::steady_clock::now();
    while (!stopped_) {
      std::this_thread::sleep_until(due += interval_);
      const std::lock_guard lock(mutex_);
      for (Stream& stream : streams_) step(stream, event);
      std::erase_if(streams_, [this](const Stream& stream) { return stream.written > events_; });
    }
  }

  void step(Stream& stream, const std::string& event) {
    const bool last = stream.written == events_;
    const http::Write wrote = stream.reply->write(last ? "data: [DONE]\n\n" : event);
    if (wrote == http::Write::full) return;
    ++stream.written;
    if (wrote == http::Write::closed) stream.written = events_ + 1;
    if (last) stream.reply->end();
  }

  const uint32_t events_;
  const std::chrono::microseconds interval_;
  std::mutex mutex_;
  std::vector<Stream> streams_;
  std::atomic<bool> stopped_ = false;
  http::Server server_;
  std::thread writer_;
};

SelfServer::SelfServer(uint32_t events, std::chrono::microseconds interval)
    : impl_(std::make_unique<Impl>(events, interval)) {}
SelfServer::~SelfServer() = default;
const std::string& SelfServer::address() const { return impl_->address(); }

}  // namespace ropewalk::bench
