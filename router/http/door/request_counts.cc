#include "router/http/door/request_counts.h"

#include <algorithm>

namespace atoll::router::http {

void StatusCounts::Add(int status) {
  const auto index = std::find(kStatuses.begin(), kStatuses.end(), status) - kStatuses.begin();
  counts_[index].fetch_add(1, std::memory_order_relaxed);
}

std::vector<StatusCounts::Row> StatusCounts::Rows() const {
  std::vector<Row> rows;
  for (size_t i = 0; i < counts_.size(); ++i) {
    const uint64_t count = counts_[i].load(std::memory_order_relaxed);
    if (count > 0 || i == 0) rows.push_back({.status = i < kStatuses.size() ? kStatuses[i] : 0, .count = count});
  }
  return rows;
}

std::shared_ptr<StatusCounts> RequestCounts::Add(const std::string& handler, const std::string& method) {
  return entries_.emplace_back(Entry{handler, method, std::make_shared<StatusCounts>()}).counts;
}

}  // namespace atoll::router::http
