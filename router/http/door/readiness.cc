#include "router/http/door/readiness.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "router/http/json/json_write.h"

namespace atoll::router::http {
namespace {

Response Ok(std::string body) { return {.status = 200, .content_type = "application/json", .headers = {}, .body = std::move(body)}; }

Response Unavailable(const std::string& reason, const std::string& more) {
  std::string body = "{\"error\":{\"message\":";
  AppendJsonString(reason, body);
  absl::StrAppend(&body, ",\"type\":\"unavailable_error\",\"param\":null,\"code\":503}", more, "}");
  return {.status = 503, .content_type = "application/json", .headers = {{"Retry-After", "1"}}, .body = std::move(body)};
}

std::string PhaseMembers(const ClusterHealth& health) {
  uint64_t loaded = 0;
  uint64_t to_load = 0;
  bool loading = false;
  for (const NodeProgress& node : health.nodes) {
    if (node.lost || !node.expert) continue;
    loading |= node.loading;
    loaded += node.loaded_bytes;
    to_load += node.to_load_bytes;
  }
  if (health.missing_expert_nodes == 0 && (loading || to_load > 0)) {
    std::string members = absl::StrCat(",\"phase\":\"load_weights\",\"done_bytes\":", loaded, ",\"total_bytes\":", loaded + to_load);
    // As fast as since the router's start.
    const double done = static_cast<double>(loaded), rest = static_cast<double>(to_load);
    if (loaded > 0) absl::StrAppend(&members, ",\"eta_s\":", std::llround(1e-3 * static_cast<double>(health.uptime_ms) * rest / done));
    return members;
  }
  return absl::StrCat(",\"phase\":\"join\",\"missing_expert_nodes\":", health.missing_expert_nodes);
}

std::string DegradedMembers(const ClusterHealth& health) {
  std::string list;
  for (const NodeProgress& node : health.nodes) {
    if (!node.lost) continue;
    if (!list.empty()) list += ',';
    AppendJsonString(node.node_id, list);
  }
  return list.empty() ? "" : absl::StrCat(",\"degraded\":[", list, "]");
}

constexpr char kStuck[] = "the router's own loop has not turned for seconds";
constexpr char kStuckPhase[] = ",\"phase\":\"stuck\"";

}  // namespace

Response Livez(const ClusterHealth& health) {
  return health.stuck ? Unavailable(kStuck, kStuckPhase) : Ok("{\"status\":\"live\"}");
}

Response Startupz(const ClusterHealth& health) {
  if (health.was_ready) return Ok("{\"status\":\"started\"}");
  if (health.stuck) return Unavailable(kStuck, kStuckPhase);
  return Unavailable(health.not_ready_reason, PhaseMembers(health));
}

Response Readyz(const ClusterHealth& health) {
  if (health.stuck) return Unavailable(kStuck, kStuckPhase);
  if (health.draining) return Unavailable("draining", ",\"phase\":\"draining\"");
  if (!health.ready && health.was_ready) return Unavailable(health.not_ready_reason, ",\"phase\":\"interrupted\"");
  if (!health.ready) return Unavailable(health.not_ready_reason, PhaseMembers(health));
  return Ok(absl::StrCat("{\"status\":\"ok\"", DegradedMembers(health), "}"));
}

bool ModelIsServed(const ClusterHealth& health) { return health.was_ready && !health.draining && !health.stuck; }

}  // namespace atoll::router::http
