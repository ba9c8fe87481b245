#pragma once

// What the page's feed says, as server-sent events, from samples of the router. Thread-compatible.
//
//   facts      once: model, version, shape                  placement  who holds what, whenever that changes
//   cluster    every sample: nodes, requests, balancer      changes    what happened, in words
//   latencies  histograms, where any has another value than before
//   experts    rows per expert since the sample before, where there are any; experts_all: all so far, to who begins

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "router/control/control_report.h"
#include "router/inference/front_door.h"
#include "router/metrics/request_metrics.h"
#include "router/page/change_log.h"
#include "router/page/expert_rows.h"

namespace atoll::router::page {

struct PageFacts {
  std::string model = {};
  std::string version = {};
  int64_t layers = 0;
  int64_t experts = 0;
  int64_t experts_per_token = 0;
  bool chat = true;  // the model has a tokenizer and a chat format
};

struct PageSample {
  ClusterReport cluster;
  RequestTotals requests;
  std::vector<NamedHistogram> latencies;
  int64_t unix_ms = 0;
  bool with_experts = false;  // cluster.expert_counts are filled in
};

class News {
 public:
  explicit News(PageFacts facts) : facts_(std::move(facts)) {}

  void Take(PageSample sample);
  // For who has seen nothing yet; after a Take with experts. What New says is in it.
  std::string Whole() const;
  // For who has seen all up to the Take before.
  std::string New() const;

 private:
  std::string FactsEvent() const;
  std::string PlacementEvent() const;
  std::string ClusterEvent() const;
  std::string ChangesEvent(uint64_t after) const;
  std::string LatenciesEvent() const;

  const PageFacts facts_;
  PageSample sample_;
  ExpertRows rows_;
  ChangeLog log_;
  uint64_t logged_before_ = 0;  // newest change before the present sample
  bool placement_is_new_ = false;
  bool latencies_are_new_ = false;
};

}  // namespace atoll::router::page
