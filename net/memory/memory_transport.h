#pragma once

// The in-memory Transport of one host. Serialized by its SessionHost, but for Wait and Wake.

#include <map>
#include <memory>
#include <string>

#include "net/memory/memory_hub.h"
#include "net/session/channel.h"

namespace atoll::net {

class MemoryChannel;

class MemoryTransport final : public Transport {
 public:
  // `name` has joined the hub; the transport leaves for it.
  MemoryTransport(std::shared_ptr<MemoryHub> hub, std::string name);
  ~MemoryTransport() override;

  void Attach(TransportEvents& events) override { events_ = &events; }
  absl::StatusOr<Channel*> Connect(const std::string& address) override;
  void Release(Channel& channel, ReleaseMode mode) override;
  bool Progress() override;
  bool Arm() override { return true; }
  void Wait(std::chrono::nanoseconds timeout) override { hub_->Wait(name_, timeout); }
  void Wake() override { hub_->Wake(name_); }
  std::string address() const override;

 private:
  MemoryChannel& Add(uint64_t connection);
  void Handle(const MemoryMessage& message);

  std::shared_ptr<MemoryHub> hub_;  // the network and every transport share it
  const std::string name_;
  TransportEvents* events_ = nullptr;
  std::map<uint64_t, std::unique_ptr<MemoryChannel>> channels_;
  std::vector<std::unique_ptr<MemoryChannel>> released_;  // until no event is on the stack
};

}  // namespace atoll::net
