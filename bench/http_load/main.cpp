// http_load — puts load on a server and prints its times as one line of JSON.
//
//   http_load ADDRESS:PORT PATH [--body FILE] [--connections N] [--count N] [--rate R] [--seed N]
//             [--skip N] [--header "Name: value"]...
//   http_load self EVENTS MICROSECONDS [the same options]
//
// --body: JSON Lines; the lines are the bodies of POST requests, one after another. Without it GET.
// --rate: requests per second at random times; without it each connection asks as soon as it is
// answered. --skip: events before the one that counts as first. `self` measures core/http alone: a
// server in this process writes EVENTS events to each stream, one each MICROSECONDS; PATH is then
// /events.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

#include "bench/http_load/load.h"
#include "bench/http_load/self.h"

namespace {

using namespace ropewalk::bench;

std::string percentiles(std::vector<double> values) {
  if (values.empty()) return "null";
  std::sort(values.begin(), values.end());
  const auto at = [&](double part) {
    return values[static_cast<size_t>(part * static_cast<double>(values.size() - 1))];
  };
  return fmt::format(R"({{"p50":{:.3f},"p90":{:.3f},"p99":{:.3f},"max":{:.3f}}})", at(0.5), at(0.9),
                     at(0.99), values.back());
}

struct Arguments {
  LoadPlan plan;
  std::string path, body_file, headers;
  std::unique_ptr<SelfServer> self;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  int i = 1;
  const auto next = [&]() -> std::string {
    if (i >= argc) throw std::runtime_error("http_load: an argument is missing");
    return argv[i++];
  };
  std::string address = next();
  arguments.path = "/events";
  if (address == "self") {
    const uint32_t events = static_cast<uint32_t>(std::stoul(next()));
    const std::chrono::microseconds interval(std::stoul(next()));
    arguments.self = std::make_unique<SelfServer>(events, interval);
    address = arguments.self->address();
  } else {
    arguments.path = next();
  }
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) throw std::runtime_error("http_load: expected ADDRESS:PORT");
  arguments.plan.host = address.substr(0, colon);
  arguments.plan.port = static_cast<uint16_t>(std::stoul(address.substr(colon + 1)));
  while (i < argc) {
    const std::string option = next(), value = next();
    if (option == "--body")
      arguments.body_file = value;
    else if (option == "--header")
      arguments.headers += value + "\r\n";
    else if (option == "--connections")
      arguments.plan.connections = static_cast<uint32_t>(std::stoul(value));
    else if (option == "--count")
      arguments.plan.count = std::stoull(value);
    else if (option == "--rate")
      arguments.plan.rate = std::stod(value);
    else if (option == "--seed")
      arguments.plan.seed = std::stoull(value);
    else if (option == "--skip")
      arguments.plan.skipped_events = static_cast<uint32_t>(std::stoul(value));
    else
      throw std::runtime_error("http_load: unknown option " + option);
  }
  return arguments;
}

void make_requests(Arguments& arguments) {
  LoadPlan& plan = arguments.plan;
  const std::string rest = fmt::format(" {} HTTP/1.1\r\nHost: {}:{}\r\n{}", arguments.path,
                                       plan.host, plan.port, arguments.headers);
  if (arguments.body_file.empty()) {
    plan.requests.push_back("GET" + rest + "\r\n");
    return;
  }
  std::ifstream file(arguments.body_file);
  for (std::string line; std::getline(file, line);)
    if (!line.empty())
      plan.requests.push_back(
          fmt::format("POST{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", rest,
                      line.size(), line));
  if (plan.requests.empty())
    throw std::runtime_error("http_load: no line in " + arguments.body_file);
}

}  // namespace

int main(int argc, char** argv) try {
  Arguments arguments = parse(argc, argv);
  make_requests(arguments);
  const LoadPlan& plan = arguments.plan;
  const LoadResult result = run_load(plan);
  const double seconds = std::max(result.seconds, 1e-9);
  fmt::print(
      R"({{"connections":{},"count":{},"rate":{},"answered":{},"refused":{},"broken":{},)"
      R"("seconds":{:.3f},"requests_per_second":{:.1f},"events":{},"events_per_second":{:.1f},)"
      R"("body_bytes":{},"first_byte_ms":{},"first_event_ms":{},"gap_ms":{},"whole_ms":{}}})"
      "\n",
      plan.connections, plan.count, plan.rate, result.answered, result.refused, result.broken,
      result.seconds, static_cast<double>(result.answered) / seconds, result.events,
      static_cast<double>(result.events) / seconds, result.body_bytes,
      percentiles(result.first_byte), percentiles(result.first_event), percentiles(result.gaps),
      percentiles(result.whole));
  return result.broken == 0 ? 0 : 1;
} catch (const std::exception& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 2;
}
