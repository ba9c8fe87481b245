#include "net/memory/memory_hub.h"

#include <algorithm>

namespace atoll::net {
namespace {

constexpr uint64_t kOnTheWayMax = 4096;  // messages per direction; credits keep well below it

}  // namespace

absl::Status MemoryHub::Join(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (!hosts_.try_emplace(name).second) return absl::AlreadyExistsError(absl::StrCat("in-memory network: host ", name, " is already there"));
  return absl::OkStatus();
}

void MemoryHub::Leave(const std::string& name) {
  const std::lock_guard lock(mutex_);
  EndConnectionsOf(name);
  hosts_.erase(name);
}

void MemoryHub::EndConnectionsOf(const std::string& name) {
  std::vector<uint64_t> ended;
  for (const auto& [id, connection] : connections_) {
    if (connection.from.contains(name)) ended.push_back(id);
  }
  for (uint64_t id : ended) EndConnection(id);
}

absl::StatusOr<uint64_t> MemoryHub::Connect(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  if (!hosts_.contains(to)) return absl::UnavailableError(absl::StrCat("in-memory network: no host ", to));
  if (from == to) return absl::InvalidArgumentError("in-memory network: a host cannot connect to itself");
  const uint64_t id = next_connection_++;
  const uint64_t number = connections_between_[{from, to}]++;
  Connection& connection = connections_[id];
  connection.from[from] = {to, absl::StrCat(from, ">", to, "#", number)};
  connection.from[to] = {from, absl::StrCat(to, "<", from, "#", number)};
  Put(connection.from[from], {MemoryMessage::Kind::kConnect, id, {}, {}}, {});
  return id;
}

MemoryHub::Direction* MemoryHub::Find(const std::string& from, uint64_t connection) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return nullptr;
  const auto direction = found->second.from.find(from);
  return direction == found->second.from.end() ? nullptr : &direction->second;
}

bool MemoryHub::CanSend(const std::string& from, uint64_t connection) {
  const std::lock_guard lock(mutex_);
  const Direction* direction = Find(from, connection);
  return direction != nullptr && direction->on_the_way < kOnTheWayMax;
}

absl::Status MemoryHub::Send(const std::string& from, MemoryMessage message) {
  const std::lock_guard lock(mutex_);
  Direction* direction = Find(from, message.connection);
  if (direction == nullptr) return absl::UnavailableError("in-memory network: the connection is gone");
  const MessageFate fate = Decide(faults_, direction->name, direction->messages++);
  if (fate.disconnects) {
    EndConnection(message.connection);
    return absl::OkStatus();
  }
  if (fate.lost || hosts_[from].silent || hosts_[direction->to].silent) return absl::OkStatus();
  if (fate.duplicated) Put(*direction, message, fate);
  Put(*direction, std::move(message), fate);
  return absl::OkStatus();
}

void MemoryHub::Put(Direction& direction, MemoryMessage message, const MessageFate& fate) {
  int64_t due_ns = std::max(clock_.NowNs() + fate.delay_ns, direction.last_due_ns);
  if (fate.reordered) {
    due_ns += faults_.reorder_ns;
  } else {
    direction.last_due_ns = due_ns;
  }
  Host& host = hosts_[direction.to];
  host.inbox.push({due_ns, next_order_++, std::move(message)});
  ++direction.on_the_way;
  host.filled.notify_all();
}

void MemoryHub::EndConnection(uint64_t id) {
  Connection& connection = connections_[id];
  for (auto& [from, direction] : connection.from) {
    const bool heard = hosts_.contains(direction.to) && !hosts_[from].silent && !hosts_[direction.to].silent;
    if (heard) Put(direction, {MemoryMessage::Kind::kLost, id, {}, {}}, {});
  }
  connections_.erase(id);
}

void MemoryHub::Close(const std::string& from, uint64_t connection) {
  const std::lock_guard lock(mutex_);
  if (Find(from, connection) != nullptr) EndConnection(connection);
}

void MemoryHub::Forget(const MemoryMessage& message, const std::string& receiver) {
  const auto found = connections_.find(message.connection);
  if (found == connections_.end()) return;
  for (auto& [from, direction] : found->second.from) {
    if (direction.to == receiver && direction.on_the_way > 0) --direction.on_the_way;
  }
}

std::optional<MemoryMessage> MemoryHub::Receive(const std::string& name) {
  const std::lock_guard lock(mutex_);
  Host& host = hosts_[name];
  if (host.inbox.empty() || host.inbox.top().due_ns > clock_.NowNs()) return std::nullopt;
  MemoryMessage message = std::move(const_cast<OnTheWay&>(host.inbox.top()).message);
  host.inbox.pop();
  Forget(message, name);
  return message;
}

void MemoryHub::Wait(const std::string& name, std::chrono::nanoseconds timeout) {
  std::unique_lock lock(mutex_);
  Host& host = hosts_[name];
  const auto until = std::chrono::steady_clock::now() + timeout;
  while (!host.woken) {
    auto next = until;
    if (!host.inbox.empty()) {
      const int64_t due_in_ns = host.inbox.top().due_ns - clock_.NowNs();
      if (due_in_ns <= 0) break;
      next = std::min(until, std::chrono::steady_clock::now() + std::chrono::nanoseconds(due_in_ns));
    }
    if (host.filled.wait_until(lock, next) == std::cv_status::timeout && next == until) break;
  }
  host.woken = false;
}

void MemoryHub::Wake(const std::string& name) {
  const std::lock_guard lock(mutex_);
  Host& host = hosts_[name];
  host.woken = true;
  host.filled.notify_all();
}

void MemoryHub::SetFaults(const FaultPlan& plan) {
  const std::lock_guard lock(mutex_);
  faults_ = plan;
}

void MemoryHub::SetSilent(const std::string& name, bool silent) {
  const std::lock_guard lock(mutex_);
  if (const auto host = hosts_.find(name); host != hosts_.end()) host->second.silent = silent;
}

void MemoryHub::Disconnect(const std::string& name) {
  const std::lock_guard lock(mutex_);
  EndConnectionsOf(name);
}

}  // namespace atoll::net
