#pragma once

// How the requests of a port were answered: by route, method and status.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace atoll::router::http {

inline constexpr int kClientGone = 499;  // no answer: the client left before it was whole

// Of one route and method. Thread-safe.
class StatusCounts {
 public:
  struct Row {
    int status = 0;  // 0: one that is not told apart
    uint64_t count = 0;
  };

  void Add(int status);
  // Of statuses that were given, and 200.
  std::vector<Row> Rows() const;

 private:
  static constexpr std::array kStatuses = {200, 204, 400, 401, 403, 404, 405, 408, 409, 413, 415, 429, 431, kClientGone, 500, 503, 504};
  std::array<std::atomic<uint64_t>, kStatuses.size() + 1> counts_{};
};

// Immutable, but for the counts, once a server uses its routes.
class RequestCounts {
 public:
  struct Entry {
    std::string handler;  // the route's path; "other" for what has none
    std::string method;   // that the route has; "other" for the rest
    std::shared_ptr<StatusCounts> counts;  // shared with the exchanges that are being answered, which may outlive the server
  };

  std::shared_ptr<StatusCounts> Add(const std::string& handler, const std::string& method);
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

}  // namespace atoll::router::http
