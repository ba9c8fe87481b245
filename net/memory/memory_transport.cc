#include "net/memory/memory_transport.h"

namespace atoll::net {
namespace {

constexpr std::string_view kScheme = "memory:";

}  // namespace

class MemoryChannel final : public Channel {
 public:
  MemoryChannel(MemoryHub& hub, const std::string& host, uint64_t connection) : hub_(hub), host_(host), connection_(connection) {}

  bool CanSend() const override { return hub_.CanSend(host_, connection_); }
  absl::Status Send(std::span<const std::byte, kHeaderBytes> header, Payload payload, std::shared_ptr<const void>) override {
    MemoryMessage message{MemoryMessage::Kind::kData, connection_, {header.begin(), header.end()}, {}};
    for (const auto& piece : payload) message.payload.insert(message.payload.end(), piece.begin(), piece.end());
    return hub_.Send(host_, std::move(message));
  }
  uint64_t connection() const { return connection_; }

 private:
  MemoryHub& hub_;
  const std::string& host_;
  const uint64_t connection_;
};

MemoryTransport::MemoryTransport(std::shared_ptr<MemoryHub> hub, std::string name) : hub_(std::move(hub)), name_(std::move(name)) {}

MemoryTransport::~MemoryTransport() { hub_->Leave(name_); }

std::string MemoryTransport::address() const { return std::string(kScheme) + name_; }

MemoryChannel& MemoryTransport::Add(uint64_t connection) {
  return *channels_.emplace(connection, std::make_unique<MemoryChannel>(*hub_, name_, connection)).first->second;
}

absl::StatusOr<Channel*> MemoryTransport::Connect(const std::string& address) {
  if (!address.starts_with(kScheme)) {
    return absl::InvalidArgumentError(absl::StrCat("in-memory network: address is \"", address, "\", expected memory:NAME"));
  }
  ATOLL_ASSIGN_OR_RETURN(const uint64_t connection, hub_->Connect(name_, address.substr(kScheme.size())));
  return &Add(connection);
}

void MemoryTransport::Release(Channel& channel, ReleaseMode) {
  const auto found = channels_.find(static_cast<MemoryChannel&>(channel).connection());
  if (found == channels_.end()) return;
  hub_->Close(name_, found->first);
  released_.push_back(std::move(found->second));
  channels_.erase(found);
}

bool MemoryTransport::Progress() {
  released_.clear();
  const std::optional<MemoryMessage> message = hub_->Receive(name_);
  if (!message) return false;
  Handle(*message);
  return true;
}

void MemoryTransport::Handle(const MemoryMessage& message) {
  if (message.kind == MemoryMessage::Kind::kConnect) {
    MemoryChannel& channel = Add(message.connection);
    if (!events_->OnAccepted(channel)) Release(channel, ReleaseMode::kNow);
    return;
  }
  const auto found = channels_.find(message.connection);
  if (found == channels_.end()) return;  // released meanwhile
  if (message.kind == MemoryMessage::Kind::kData) return events_->OnMessage(*found->second, message.header, message.payload);
  events_->OnLost(*found->second, absl::UnavailableError("connection reset"));
}

}  // namespace atoll::net
