#pragma once

// What one test suite needs to run against every kind of link: hosts that find each other, and a handler that notes.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/link.h"
#include "net/session/channel.h"

namespace atoll::net {

// Notes what a host is told; `on_frame` may do more.
class NotingHandler final : public LinkHandler {
 public:
  struct Frame {
    FrameHeader header;
    std::vector<std::byte> payload;
  };

  void OnFrame(Link& link, const FrameHeader& header, std::span<const std::byte> payload) override {
    frames.push_back({header, {payload.begin(), payload.end()}});
    if (on_frame) on_frame(link, header, payload);
  }
  void OnOpen(Link& link) override {
    opened.push_back(&link);
    if (on_open) on_open(link);
  }
  void OnClosed(Link& link, const absl::Status& reason) override {
    closed.push_back(reason);
    std::erase(opened, &link);
  }
  void OnSendable(Link&) override { ++sendable; }

  std::function<void(Link&, const FrameHeader&, std::span<const std::byte>)> on_frame;
  std::function<void(Link&)> on_open;
  std::vector<Frame> frames;
  std::vector<Link*> opened;  // and not closed
  std::vector<absl::Status> closed;
  int sendable = 0;
};

class TestNetwork {
 public:
  virtual ~TestNetwork() = default;
  virtual std::unique_ptr<LinkHost> Open(const LinkHostOptions& options, LinkHandler& handler) = 0;
  virtual std::unique_ptr<Transport> OpenTransport(const std::string& name) = 0;
};

struct NetworkKind {
  std::string name;
  std::function<std::unique_ptr<TestNetwork>()> make;
};

// hidden 64 in bf16, 4 layers, 8 experts.
SessionTerms TestTerms(uint32_t window = 32);

// A dispatch of `rows` rows that goes to expert 0, its payload counting up from `first`.
struct TestFrame {
  FrameHeader header;
  std::vector<std::byte> payload;
  absl::Status SendOn(Link& link) const;
};
TestFrame MakeDispatch(uint64_t step, uint32_t rows, const FrameLimits& limits);

// Polls the hosts in turn until `done`, at most some seconds. False when it did not come.
bool PollUntil(const std::vector<LinkHost*>& hosts, const std::function<bool()>& done);

}  // namespace atoll::net
