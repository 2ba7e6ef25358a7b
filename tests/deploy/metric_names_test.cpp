// What dashboard, alerts and autoscalers ask for is what /metrics of the program says.
#include <gmock/gmock.h>

#include <map>
#include <regex>
#include <set>

#include "tests/apps/serving/running_server.h"
#include "tests/apps/small_model.h"
#include "tests/deploy/manifests.h"

namespace ropewalk::test {
namespace {

using testing::IsSupersetOf;

using Values = std::set<std::string>;
using Labels = std::map<std::string, Values>;

void for_each_match(const std::string& text, const char* pattern, const auto& function) {
  const std::regex regex(pattern);
  for (auto at = std::sregex_iterator(text.begin(), text.end(), regex);
       at != std::sregex_iterator(); ++at)
    function(*at);
}

// Labels and their values in `{a="b",c=~"d"}`, a quote also written as \".
Labels parse_labels(const std::string& text) {
  Labels labels;
  for_each_match(text, R"re((\w+)(=~|=|!=)\\?"([^"\\]*)\\?")re", [&](const std::smatch& match) {
    labels[match[1]].insert(match[2] == "=" ? match[3].str() : "");
  });
  return labels;
}

// Every sample by name, with the values of its labels.
std::map<std::string, Labels> exposed(const std::string& metrics) {
  std::map<std::string, Labels> samples;
  for_each_match(metrics, R"re(\n([a-z0-9_:]+)\{([^}]*)\} )re", [&](const std::smatch& match) {
    for (const auto& [label, values] : parse_labels(match[2]))
      samples[match[1]][label].insert(values.begin(), values.end());
  });
  return samples;
}

const char* const kFiles[] = {"monitoring/alerts.yaml", "monitoring/alerts_test.yaml",
                              "monitoring/grafana.json", "k8s/prometheus-adapter.yaml",
                              "k8s/scaledobject.yaml"};

class MetricNames : public testing::Test {
 protected:
  static std::map<std::string, Labels> ask_server() {
    const TemporaryFolder folder;
    const RunningServer server(write_small_config(folder.path(), {}));
    server.ask("/v1/completions", {{"prompt", "hi"}, {"max_tokens", 2}});
    return exposed(server.get("/metrics").body);
  }
  const std::map<std::string, Labels> exposed_ = ask_server();
};

TEST_F(MetricNames, AreThoseOfTheServer) {
  ASSERT_GT(exposed_.size(), 50u);
  for (const char* file : kFiles) {
    size_t found = 0;
    for_each_match(deploy_file(file), R"re((vllm:|ropewalk_)[a-z0-9_]+)re",
                   [&](const std::smatch& match) {
                     ++found;
                     EXPECT_TRUE(exposed_.contains(match.str())) << file << ": " << match.str();
                   });
    EXPECT_GE(found, 2u) << file;
  }
}

// Prometheus adds instance, job, namespace and pod.
TEST_F(MetricNames, HaveTheLabelsThatAreAskedFor) {
  const Values added = {"instance", "job", "namespace", "pod"};
  // Values of these are all there from the start.
  const Values closed = {"reason", "finished_reason"};
  size_t found = 0;
  for (const char* file : kFiles)
    for_each_match(deploy_file(file), R"re(((?:vllm:|ropewalk_)[a-z0-9_]+)\{([^}]*)\})re",
                   [&](const std::smatch& match) {
                     const Labels& ours = exposed_.at(match[1]);
                     for (const auto& [label, values] : parse_labels(match[2])) {
                       ++found;
                       if (added.contains(label)) continue;
                       EXPECT_TRUE(ours.contains(label)) << file << ": " << match.str();
                       if (closed.contains(label)) {
                         EXPECT_THAT(ours.at(label), IsSupersetOf(values)) << file;
                       }
                     }
                   });
  EXPECT_GT(found, 50u);
}

// `by (model_name, le)` of something that lacks the label gives one series without a name.
TEST_F(MetricNames, HaveTheLabelsThatAreGroupedBy) {
  const Values known = {"instance", "model_name", "le", "reason", "finished_reason", "code"};
  for (const char* file : {"monitoring/alerts.yaml", "monitoring/grafana.json"})
    for_each_match(deploy_file(file), R"re(by \(([a-z_, ]+)\) \((?:rate\()?([a-z0-9_:]+))re",
                   [&](const std::smatch& match) {
                     for_each_match(match[1], "[a-z_]+", [&](const std::smatch& label) {
                       EXPECT_TRUE(known.contains(label.str())) << label.str();
                       if (label.str() == "instance") return;
                       EXPECT_TRUE(exposed_.at(match[2]).contains(label.str()))
                           << file << ": " << match.str();
                     });
                   });
}

// An autoscaler reads a metric's name without its colon, which prometheus-adapter gives it.
TEST_F(MetricNames, OfTheAutoscalerAreThoseOfTheAdapter) {
  Values given;
  for_each_match(deploy_file("k8s/prometheus-adapter.yaml"),
                 R"re(seriesQuery: '([a-z0-9_:]+)\{.*\n.*\n *name: \{as: ([a-z_]+)\})re",
                 [&](const std::smatch& match) {
                   EXPECT_EQ(std::regex_replace(match[1].str(), std::regex(":"), "_"), match[2]);
                   given.insert(match[2]);
                 });
  Values read;
  for_each_match(deploy_file("k8s/hpa.yaml"), R"re(metric: \{name: ([a-z_]+)\})re",
                 [&](const std::smatch& match) { read.insert(match[1]); });
  EXPECT_EQ(read.size(), 2u);
  EXPECT_EQ(read, given);
}

TEST(Dashboard, ShowsEachPanelInAPlaceOfItsOwn) {
  const Json dashboard = Json::parse(deploy_file("monitoring/grafana.json"));
  std::set<int> ids;
  std::set<std::pair<int, int>> taken;
  for (const Json& panel : dashboard["panels"]) {
    EXPECT_TRUE(ids.insert(panel["id"].get<int>()).second) << panel["title"];
    const Json& place = panel["gridPos"];
    EXPECT_LE(place["x"].get<int>() + place["w"].get<int>(), 24) << panel["title"];
    for (int x = 0; x < place["w"]; ++x)
      for (int y = 0; y < place["h"]; ++y)
        EXPECT_TRUE(taken.emplace(place["x"].get<int>() + x, place["y"].get<int>() + y).second)
            << panel["title"];
    EXPECT_FALSE(panel["targets"].empty()) << panel["title"];
  }
  EXPECT_GE(ids.size(), 16u);
}

}  // namespace
}  // namespace ropewalk::test
