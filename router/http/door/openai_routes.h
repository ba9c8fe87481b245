#pragma once

// The routes of the public port: OpenAI's, and a few that tools around it expect.

#include <functional>
#include <string>

#include "router/http/door/readiness.h"
#include "router/http/door/routes.h"
#include "router/inference/front_door.h"
#include "router/inference/worker.h"

namespace atoll::router::http {

struct OpenAiSurroundings {
  FrontDoor* front_door = nullptr;
  Worker* worker = nullptr;
  std::function<ClusterHealth()> health;
  std::string version;
  bool strict_requests = false;  // unknown fields are refused
  std::shared_ptr<RequestCounts> request_counts = std::make_shared<RequestCounts>();  // of the public port; shared with who shows them
};

// What `surroundings` points to outlives the routes' use.
void AddOpenAiRoutes(const OpenAiSurroundings& surroundings, Routes& routes);

}  // namespace atoll::router::http
