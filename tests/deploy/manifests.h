// manifests.h — what the files of deploy/ say, for tests that try it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace ropewalk::test {

// The text of a file below deploy/.
std::string deploy_file(const std::string& name);

struct Probe {
  std::string path;
  std::chrono::seconds period{};
  uint32_t failures = 0;  // so many in a row, and it has failed
};

// The container of deploy/k8s/deployment.yaml.
struct Pod {
  std::vector<std::string> arguments;
  uint16_t port = 0;
  Probe startup, readiness, liveness;
  std::chrono::seconds grace{};  // from SIGTERM to SIGKILL
};
Pod read_pod();

// serve.drain of deploy/serve.yaml.
struct DrainTimes {
  std::chrono::seconds delay{}, replies{};
};
DrainTimes read_drain_times();

}  // namespace ropewalk::test
