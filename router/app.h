#pragma once

// A whole router in one object: what a process of it owns, in the order of its construction.

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/status.h"
#include "net/grpc/server.h"
#include "net/otlp/otlp_exporter.h"
#include "router/config.h"
#include "router/control/cluster_control.h"
#include "router/control/cluster_service.h"
#include "router/http/http_door.h"
#include "router/inference/front_door.h"
#include "router/inference/inference_service.h"
#include "router/inference/served_model.h"
#include "router/inference/worker.h"
#include "router/metrics/router_metrics.h"
#include "router/page/page_feed.h"

namespace atoll::router {

// Start and Shutdown from one thread.
class App {
 public:
  // Serves at once, NOT_READY until nodes have joined. An error says which setting or file is wrong.
  static absl::StatusOr<std::unique_ptr<App>> Start(const RouterConfig& config);
  ~App();

  const std::string& address() const { return server_->address(); }
  const std::string& http_address() const { return http_->http_address(); }
  const std::string& metrics_address() const { return http_->metrics_address(); }

  // Health says when the ticking thread is stuck: called now and then, from another one.
  void RefreshHealth();
  // Refuses new requests, waits for the running ones up to the shutdown timeout, cancels what is left and ends.
  void Shutdown();
  // The wait of a running Shutdown ends now.
  void Hurry() { hurry_ = true; }

  FrontDoor& front_door() { return front_door_; }
  ClusterControl& control() { return control_; }

 private:
  App(const RouterConfig& config, ServedModel model, std::vector<std::vector<double>> cold_start, std::unique_ptr<net::OtlpExporter> spans);
  absl::Status Listen();
  absl::Status ListenHttp();
  http::ClusterHealth Health() const;
  page::PageFacts FactsForPage() const;
  void Tick();
  void WaitForRequests();
  void OnHealth(const HealthView& health);
  bool Stuck() const;
  void SetServing();

  const RouterConfig config_;
  const SteadyClock clock_;
  const std::unique_ptr<net::OtlpExporter> spans_;  // null: nobody wants them
  const ServedModel model_;
  ClusterControl control_;
  FrontDoor front_door_;
  RouterMetrics metrics_;
  std::unique_ptr<page::PageFeed> page_feed_;  // before the door that calls it
  std::unique_ptr<http::HttpDoor> http_;  // before the worker, whose last work may still answer through it
  Worker worker_;
  std::unique_ptr<grpc::Service> inference_service_;
  std::unique_ptr<grpc::Service> cluster_service_;
  std::unique_ptr<grpc::Service> vllm_service_;
  std::unique_ptr<net::GrpcServer> server_;
  const int64_t started_ns_ = clock_.NowNs();
  std::atomic<bool> hurry_{false};
  std::atomic<bool> draining_{false}, stuck_{false};
  mutable std::atomic<bool> was_ready_{false};
  std::atomic<int64_t> ticked_ns_{started_ns_};
  std::mutex health_mutex_;
  HealthView health_;  // guarded by health_mutex_, as is what the server says of it
  std::atomic<bool> stop_ticking_{false};
  std::thread ticker_;
  bool shut_down_ = false;
};

}  // namespace atoll::router
