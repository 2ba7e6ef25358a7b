#include "core/graph/claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/base/log.h"

namespace ropewalk {

void ClaimList::claim(const abi::Claim& claim) noexcept {
  claims.push_back({{claim.nodes.begin(), claim.nodes.end()},
                    {claim.hidden.begin(), claim.hidden.end()},
                    claim.gain_us});
}

void ClaimList::refuse(uint32_t node, std::string_view reason) noexcept {
  refusals.emplace_back(node, std::string(reason));
}

std::string judge(const Graph& graph, const OwnedClaim& claim) {
  if (claim.nodes.empty()) return "it claims no node";
  for (size_t i = 0; i < claim.nodes.size(); ++i) {
    if (claim.nodes[i] >= graph.nodes.size()) return "it claims a node that does not exist";
    if (i > 0 && claim.nodes[i] != claim.nodes[i - 1] + 1) return "its nodes are not consecutive";
  }
  const uint32_t first = claim.nodes.front(), last = claim.nodes.back();
  for (const TensorId tensor : claim.hidden) {
    if (tensor >= graph.tensors.size()) return "it hides a value that does not exist";
    const std::string& name = graph.tensors[tensor].name;
    const size_t writer = graph.writer(tensor);
    if (writer < first || writer > last) return "it hides " + name + ", which it does not write";
    if (graph.is_output(tensor)) return "it hides " + name + ", which the host reads";
    for (const uint32_t reader : graph.readers(tensor)) {
      if (reader < first || reader > last) {
        return "it hides " + name + ", which " + graph.nodes[reader].name + " reads";
      }
    }
  }
  return {};
}

std::vector<OwnedClaim> choose_steps(const Graph& graph, const ClaimList& offered,
                                     std::string_view device) {
  std::vector<const OwnedClaim*> legal;
  for (const OwnedClaim& claim : offered.claims) {
    if (const std::string reason = judge(graph, claim); !reason.empty()) {
      warn(fmt::format("{}: a claim is left out because {}", device, reason));
    } else {
      legal.push_back(&claim);
    }
  }
  std::stable_sort(legal.begin(), legal.end(), [](const auto* a, const auto* b) {
    return a->gain_us != b->gain_us ? a->gain_us > b->gain_us : a->nodes[0] < b->nodes[0];
  });

  std::vector<bool> taken(graph.nodes.size(), false);
  std::vector<OwnedClaim> steps;
  for (const OwnedClaim* claim : legal) {
    const auto is_taken = [&](uint32_t node) { return taken[node]; };
    if (std::any_of(claim->nodes.begin(), claim->nodes.end(), is_taken)) continue;
    for (const uint32_t node : claim->nodes) taken[node] = true;
    steps.push_back(*claim);
  }
  for (uint32_t node = 0; node < graph.nodes.size(); ++node) {
    if (taken[node]) continue;
    const auto refusal = std::find_if(offered.refusals.begin(), offered.refusals.end(),
                                      [&](const auto& r) { return r.first == node; });
    throw Error(
        ExitCode::no_device, device,
        fmt::format("cannot run {} ({}): {}", graph.nodes[node].name, op_name(graph.nodes[node].op),
                    refusal == offered.refusals.end() ? "no reason given" : refusal->second),
        "Use another backend, for example --backend cpu");
  }
  std::sort(steps.begin(), steps.end(),
            [](const auto& a, const auto& b) { return a.nodes[0] < b.nodes[0]; });
  return steps;
}

std::string describe_steps(const Graph& graph, const std::vector<OwnedClaim>& steps) {
  std::string text;
  for (const OwnedClaim& step : steps) {
    for (size_t i = 0; i < step.nodes.size(); ++i) {
      text += (i ? " + " : "") + graph.nodes[step.nodes[i]].name;
    }
    if (step.nodes.size() > 1) text += fmt::format("  saves {:.1f} us", step.gain_us);
    for (const TensorId hidden : step.hidden) text += "  hides " + graph.tensors[hidden].name;
    text += '\n';
  }
  return text;
}

}  // namespace ropewalk
