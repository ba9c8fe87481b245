#pragma once

// Which handler answers a method and path, and what every request of a port goes through before.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "router/http/door/api_keys.h"
#include "router/http/door/request_counts.h"
#include "router/http/server/exchange.h"

namespace atoll::router::http {

struct DoorPolicy {
  ApiKeys keys;
  std::vector<std::string> allowed_origins;  // of pages in other places; "*": all; none: CORS is off
  bool access_log = false;                   // a line for each answer: at level debug, or info for failures of ours
  std::shared_ptr<RequestCounts> counts = std::make_shared<RequestCounts>();  // shared with who shows them
};

// Immutable once it serves.
class Routes {
 public:
  explicit Routes(DoorPolicy policy = {}) : policy_(std::move(policy)), other_(policy_.counts->Add("other", "other")) {}

  // HEAD goes where GET does. An `open` route needs no key.
  void Add(const std::string& method, const std::string& path, Handler handler, bool open = false);
  // Answered at once from here.
  // Probes leave no line in the access log.
  void AddProbe(const std::string& path, std::function<Response(const Request&)> answer);
  void AddAnswer(const std::string& path, std::function<Response(const Request&)> answer, bool open = false);
  // Every path that begins so and has no route of its own.
  void AddBelow(const std::string& method, const std::string& prefix, Handler handler);

  // 404 and 405 where there is no route, 401 without a key, 415 for a body that is compressed. Each answer carries the
  // request's x-request-id, or a new one.
  void Handle(Request request, std::shared_ptr<Exchange> exchange) const;

 private:
  struct Method {
    Handler handler;
    std::shared_ptr<StatusCounts> counts;  // as `other_`
  };
  struct Route {
    std::map<std::string, Method> by_method;
    bool open = false;
    bool probe = false;
  };
  const Route* Find(const std::string& path) const;
  const Method* FindMethod(const Route* route, const std::string& method) const;
  Headers HeadersFor(const Request& request) const;
  bool AllowsOrigin(std::string_view origin) const;
  Response Preflight(const Request& request) const;

  const DoorPolicy policy_;
  const std::shared_ptr<StatusCounts> other_;  // shared with the exchanges that are being answered
  std::map<std::string, Route> exact_;
  std::map<std::string, Route> below_;
};

}  // namespace atoll::router::http
