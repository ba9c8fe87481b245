#include <nlohmann/json.hpp>

#include "cli/load/result/report.h"

namespace atoll::load {
namespace {

using Json = nlohmann::ordered_json;

double Ms(double ns) { return ns / 1e6; }

constexpr double kCurvePoints[] = {0, 1, 2, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 92, 94, 95, 96, 97, 98, 99, 99.5, 99.9, 100};

Json SamplesJson(const Samples& samples) {
  Json json{{"count", samples.count()}, {"exact", samples.exact()}, {"mean", Ms(samples.Mean())}, {"deviation", Ms(samples.Deviation())}};
  for (const auto& [name, p] : {std::pair("p50", 50.0), {"p75", 75.0}, {"p90", 90.0}, {"p95", 95.0}, {"p99", 99.0}, {"p99.9", 99.9}})
    json[name] = Ms(samples.Percentile(p));
  json["max"] = Ms(static_cast<double>(samples.Max()));
  Json curve = Json::array();
  if (samples.count() > 0)
    for (const double p : kCurvePoints) curve.push_back({p, Ms(samples.Percentile(p))});
  json["curve"] = std::move(curve);
  return json;
}

Json TallyJson(const Tally& tally) {
  Json json;
  for (const Outcome outcome : kOutcomes) json[std::string(OutcomeName(outcome))] = tally.of(outcome);
  json["hung"] = tally.hung;
  return json;
}

Json SloJson(const Slo& slo) {
  Json json = Json::object();
  for (const auto& [name, bound] : {std::pair("ttft_ms", slo.ttft_ns), {"tpot_ms", slo.tpot_ns}, {"itl_ms", slo.itl_ns}, {"e2e_ms", slo.e2e_ns}})
    if (bound) json[name] = Ms(static_cast<double>(*bound));
  return json;
}

Json FactsJson(const RunFacts& facts) {
  return {{"command_line", facts.command_line}, {"version", facts.version}, {"target", facts.target}, {"model", facts.model},
          {"nodes", facts.nodes}, {"arrivals", facts.arrivals}, {"lengths", facts.lengths}, {"dataset", facts.dataset},
          {"seed", facts.seed}, {"in_flight_max", facts.in_flight_max}, {"started_at", facts.started_at},
          {"wall_s", static_cast<double>(facts.wall_ns) / 1e9}, {"client_cpu_s", facts.client_cpu_seconds}, {"interrupted", facts.interrupted}};
}

Json SeriesJson(const TimeSeries& series) {
  Json json{{"width_s", static_cast<double>(series.width_ns()) / 1e9}};
  for (const char* name : {"sent", "tokens", "in_flight", "ok", "refused", "cancelled", "failed", "ttft_p50_ms", "ttft_p99_ms", "itl_p50_ms", "itl_p99_ms"})
    json[name] = Json::array();
  const auto percentile = [](const Samples& samples, double p) { return samples.count() ? Json(Ms(samples.Percentile(p))) : Json(nullptr); };
  for (const Interval& interval : series.intervals()) {
    json["sent"].push_back(interval.sent);
    json["tokens"].push_back(interval.tokens);
    json["in_flight"].push_back(interval.in_flight);
    for (const Outcome outcome : kOutcomes) json[std::string(OutcomeName(outcome))].push_back(interval.ended[static_cast<size_t>(outcome)]);
    json["ttft_p50_ms"].push_back(percentile(interval.ttft, 50));
    json["ttft_p99_ms"].push_back(percentile(interval.ttft, 99));
    json["itl_p50_ms"].push_back(percentile(interval.itl, 50));
    json["itl_p99_ms"].push_back(percentile(interval.itl, 99));
  }
  return json;
}

Json FaultsJson(const std::vector<FaultResult>& faults) {
  Json list = Json::array();
  for (const FaultResult& fault : faults)
    list.push_back({{"at_s", static_cast<double>(fault.at_ns) / 1e9}, {"started_s", static_cast<double>(fault.started_ns) / 1e9},
                    {"ended_s", static_cast<double>(fault.ended_ns) / 1e9}, {"command", fault.command}, {"exit", fault.exit}, {"output", fault.output}});
  return list;
}

Json ServerJson(const std::vector<ServerCounters>& counters) {
  Json json = Json::object();
  for (const ServerCounters& counter : counters) json[counter.name] = {{"before", counter.before}, {"after", counter.after}, {"change", counter.after - counter.before}};
  return json;
}

}  // namespace

std::string ReportJson(const Report& report) {
  const Statistics& s = report.statistics;
  Json json{{"run", FactsJson(report.facts)}};
  json["requests"] = TallyJson(s.all());
  json["requests"]["sent"] = s.sent();
  json["measured"] = TallyJson(s.measured());
  json["measured"]["seconds"] = s.MeasuredSeconds();
  json["measured"]["warmup_s"] = static_cast<double>(s.warmup_ns()) / 1e9;
  json["rates"] = {{"tokens_per_s", s.TokensPerSecond()}, {"requests_per_s", s.RequestsPerSecond()}, {"steady_s", s.SteadySeconds()},
                   {"steady_tokens_per_s", s.SteadyTokensPerSecond()}};
  json["tokens"] = {{"received", s.tokens()}, {"prompt_of_ok", s.prompt_tokens()}};
  json["goodput"] = {{"slo", SloJson(s.slo())}, {"good", s.measured().good}, {"requests_per_s", s.GoodPerSecond()}, {"share", s.GoodShare()}};
  json["latency_ms"] = {{"ttft", SamplesJson(s.ttft)}, {"tpot", SamplesJson(s.tpot)}, {"itl", SamplesJson(s.itl)}, {"e2e", SamplesJson(s.e2e)},
                        {"ttft_from_sent", SamplesJson(s.ttft_from_sent)}, {"send_delay", SamplesJson(s.send_delay)},
                        {"server_ttft", SamplesJson(s.server_ttft)}, {"server_e2e", SamplesJson(s.server_e2e)}};
  json["server"] = ServerJson(report.server);
  json["faults"] = FaultsJson(report.faults);
  json["series"] = SeriesJson(s.series);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace atoll::load
