#include "cli/load/result/record.h"

#include <nlohmann/json.hpp>

namespace atoll::load {
namespace {

double Ms(int64_t ns) { return static_cast<double>(ns) / 1e6; }

}  // namespace

std::string LedgerLine(const RequestRecord& r) {
  using Json = nlohmann::ordered_json;
  const auto when = [](bool has, int64_t ns) { return has ? Json(Ms(ns)) : Json(nullptr); };
  const Json line{{"index", r.index}, {"request_id", r.request_id}, {"outcome", std::string(OutcomeName(r.outcome))},
                  {"code", r.end.code}, {"reason", r.end.reason}, {"message", r.end.message},
                  {"hung", r.hung}, {"warmup", r.warmup}, {"within_slo", r.within_slo},
                  {"intended_ms", Ms(r.intended_ns)}, {"sent_ms", Ms(r.sent_ns)}, {"first_token_ms", when(r.tokens > 0, r.first_ns)},
                  {"last_token_ms", when(r.tokens > 0, r.last_ns)}, {"end_ms", Ms(r.end_ns)},
                  {"ttft_ms", when(r.tokens > 0, r.TtftNs())}, {"tpot_ms", when(r.tokens > 1, r.TpotNs())}, {"e2e_ms", Ms(r.E2eNs())},
                  {"longest_gap_ms", Ms(r.longest_gap_ns)}, {"tokens", r.tokens}, {"messages", r.messages},
                  {"prompt_tokens", r.end.prompt_tokens}, {"completion_tokens", r.end.completion_tokens},
                  {"server_queue_ms", static_cast<double>(r.end.server_queue_us) / 1e3},
                  {"server_first_token_ms", static_cast<double>(r.end.server_first_us) / 1e3},
                  {"server_total_ms", static_cast<double>(r.end.server_total_us) / 1e3}};
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace atoll::load
