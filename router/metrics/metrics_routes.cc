// What the operator's port answers about metrics and expert loads.

#include <algorithm>
#include <map>

#include "router/http/api/api_error.h"
#include "router/metrics/router_metrics.h"

namespace atoll::router {
namespace {

using http::ErrorResponse;
using http::Response;

// `query` as names and values; INVALID_ARGUMENT for a name that is not among `known`.
absl::StatusOr<std::map<std::string, std::string>> ReadQuery(std::string_view query, const std::vector<std::string>& known) {
  std::map<std::string, std::string> read;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::string name(pair.substr(0, pair.find('=')));
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return absl::InvalidArgumentError("expected format or part in the query, found something else");
    }
    read[name] = pair.size() > name.size() ? std::string(pair.substr(name.size() + 1)) : "";
  }
  return read;
}

absl::StatusOr<LoadPart> PartOf(const std::string& name) {
  if (name.empty() || name == "all") return LoadPart::kAll;
  if (name == "prompt") return LoadPart::kPrompt;
  if (name == "generated") return LoadPart::kGenerated;
  return absl::InvalidArgumentError("part: expected all, prompt or generated");
}

Response Json(std::string body) { return {.status = 200, .content_type = "application/json", .headers = {}, .body = std::move(body)}; }

}  // namespace

void RouterMetrics::AddRoutes(http::Routes& routes) {
  routes.AddAnswer("/metrics", [this](const http::Request& request) { return Metrics(request); });
  routes.AddAnswer("/debug/expert_load", [this](const http::Request& request) { return ExpertLoad(request); });
  routes.AddAnswer("/debug/expert_load/dump", [this](const http::Request& request) { return DumpRecording(request); });
  const auto post = [&](const char* path, auto answer) {
    routes.Add("POST", path, [answer](const http::Request& request, const std::shared_ptr<http::Exchange>& exchange) { exchange->Respond(answer(request)); });
  };
  post("/debug/expert_load/start", [this](const http::Request& request) { return StartRecording(request); });
  post("/debug/expert_load/stop", [this](const http::Request& request) { return StopRecording(request); });
}

Response RouterMetrics::Metrics(const http::Request& request) const {
  const metrics::TextFormat format = metrics::FormatFor(request.Header("accept"));
  return {.status = 200, .content_type = std::string(metrics::ContentType(format)), .headers = {}, .body = Text(format)};
}

Response RouterMetrics::LoadFile(const http::Request& request, const std::vector<LayerCounts>& counts, LoadFacts facts) const {
  const auto query = ReadQuery(request.query, {"format", "part"});
  if (!query.ok()) return ErrorResponse(query.status());
  const auto value = [&](const char* name) { return query->contains(name) ? query->at(name) : ""; };
  const absl::StatusOr<LoadPart> part = PartOf(value("part"));
  if (!part.ok()) return ErrorResponse(part.status());
  if (value("format") == "npy") {
    return {.status = 200, .content_type = "application/octet-stream",
            .headers = {{"Content-Disposition", "attachment; filename=\"expert_load.npy\""}},
            .body = ExpertLoadNpy(options_.shape, counts, *part)};
  }
  if (!value("format").empty() && value("format") != "json") return ErrorResponse(absl::InvalidArgumentError("format: expected json or npy"));
  facts.model = options_.build.model;
  return Json(ExpertLoadJson(options_.shape, counts, facts));
}

Response RouterMetrics::ExpertLoad(const http::Request& request) const {
  const ClusterReport report = Report();
  const double seconds = 1e-9 * static_cast<double>(sources_.clock->NowNs() - started_ns_);
  return LoadFile(request, report.expert_counts, {.model = {}, .epoch = report.epoch, .seconds = seconds});
}

Response RouterMetrics::StartRecording(const http::Request&) {
  recording_.Start(sources_.clock->NowNs(), Sums());
  return Json("{\"recording\":true}\n");
}

Response RouterMetrics::StopRecording(const http::Request&) {
  const absl::Status status = recording_.Stop(sources_.clock->NowNs(), Sums());
  return status.ok() ? Json("{\"recording\":false}\n") : ErrorResponse(status);
}

Response RouterMetrics::DumpRecording(const http::Request& request) const {
  ClusterReport report = Report();
  const absl::StatusOr<LoadRecording::Result> result = recording_.Dump(sources_.clock->NowNs(), std::move(report.expert_counts));
  if (!result.ok()) return ErrorResponse(result.status());
  return LoadFile(request, result->counts, {.model = {}, .epoch = report.epoch, .seconds = result->seconds});
}

}  // namespace atoll::router
