#include "router/page/news.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "router/page/cluster_json.h"

namespace atoll::router::page {
namespace {

using Json = nlohmann::json;

std::string Event(const char* name, const std::string& json) { return absl::StrCat("event: ", name, "\ndata: ", json, "\n\n"); }

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

const model::Placement* PlacementOf(const ClusterReport& report) { return report.view == nullptr ? nullptr : report.view->placement.get(); }

uint64_t ValuesIn(const std::vector<NamedHistogram>& histograms) {
  uint64_t values = 0;
  for (const NamedHistogram& histogram : histograms) values += histogram.values.count();
  return values;
}

}  // namespace

void News::Take(PageSample sample) {
  logged_before_ = log_.newest();
  log_.Look(sample.cluster, sample.unix_ms);
  placement_is_new_ = PlacementOf(sample.cluster) != PlacementOf(sample_.cluster);  // both are alive: their addresses differ
  latencies_are_new_ = ValuesIn(sample.latencies) != ValuesIn(sample_.latencies);
  if (sample.with_experts) rows_.Take(sample.cluster.expert_counts);
  sample.cluster.expert_counts.clear();
  sample_ = std::move(sample);
}

std::string News::FactsEvent() const {
  return Event("facts", Dump({{"model", facts_.model}, {"version", facts_.version}, {"layers", facts_.layers}, {"experts", facts_.experts},
                              {"experts_per_token", facts_.experts_per_token}, {"chat", facts_.chat}}));
}

std::string News::PlacementEvent() const {
  const model::Placement* placement = PlacementOf(sample_.cluster);
  return placement == nullptr ? "" : Event("placement", PlacementJson(*placement));
}

std::string News::ClusterEvent() const { return Event("cluster", ClusterJson(sample_.cluster, sample_.requests, sample_.unix_ms)); }

std::string News::LatenciesEvent() const { return Event("latencies", HistogramsJson(sample_.latencies)); }

std::string News::ChangesEvent(uint64_t after) const {
  Json changes = Json::array();
  for (const Change& change : log_.changes()) {
    if (change.number <= after) continue;
    changes.push_back({{"number", change.number}, {"unix_ms", change.unix_ms}, {"kind", change.kind}, {"text", change.text}, {"bad", change.bad}});
  }
  return changes.empty() ? "" : Event("changes", Dump(changes));
}

std::string News::Whole() const {
  return absl::StrCat(FactsEvent(), PlacementEvent(), Event("experts_all", rows_.AllJson()), ClusterEvent(), LatenciesEvent(), ChangesEvent(0));
}

std::string News::New() const {
  const std::string rows = sample_.with_experts ? rows_.NewJson() : "";
  return absl::StrCat(placement_is_new_ ? PlacementEvent() : "", rows.empty() ? "" : Event("experts", rows), ClusterEvent(),
                      latencies_are_new_ ? LatenciesEvent() : "", ChangesEvent(logged_before_));
}

}  // namespace atoll::router::page
