#include "tests/deploy/manifests.h"

#include <yaml-cpp/yaml.h>

#include "tests/files.h"

namespace ropewalk::test {
namespace {

std::chrono::seconds seconds(const YAML::Node& node) {
  return std::chrono::seconds(node.as<uint32_t>());
}

Probe read_probe(const YAML::Node& node) {
  return {.path = node["httpGet"]["path"].as<std::string>(),
          .period = seconds(node["periodSeconds"]),
          .failures = node["failureThreshold"].as<uint32_t>()};
}

}  // namespace

std::string deploy_file(const std::string& name) {
  return read_file(RW_SOURCE_DIR "/deploy/" + name);
}

Pod read_pod() {
  const YAML::Node file = YAML::Load(deploy_file("k8s/deployment.yaml"));
  const YAML::Node spec = file["spec"]["template"]["spec"];
  const YAML::Node container = spec["containers"][0];
  return {.arguments = container["args"].as<std::vector<std::string>>(),
          .port = container["ports"][0]["containerPort"].as<uint16_t>(),
          .startup = read_probe(container["startupProbe"]),
          .readiness = read_probe(container["readinessProbe"]),
          .liveness = read_probe(container["livenessProbe"]),
          .grace = seconds(spec["terminationGracePeriodSeconds"])};
}

DrainTimes read_drain_times() {
  const YAML::Node drain = YAML::Load(deploy_file("serve.yaml"))["serve"]["drain"];
  return {.delay = seconds(drain["delay"]), .replies = seconds(drain["seconds"])};
}

}  // namespace ropewalk::test
