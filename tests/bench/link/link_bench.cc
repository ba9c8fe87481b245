// link_bench: a dispatch and its result over a Link against a bare UCX ping-pong of the same bytes in the same wait mode,
// two processes each. Rounds alternate, so that whatever else the machine does hits both.
//   transport size: bare p50 us, link p50 us, ratio (bar: 1.3); then the same with rows gathered from where they lie, as
//   nodes send them. The bare ping-pong has its bytes in one piece already, so that this counts the gathering too.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "net/link_ticker.h"
#include "net/ucx/ucx_host.h"
#include "tests/bench/link/bare_ping_pong.h"
#include "tests/net/ucx/child_process.h"
#include "tests/net/ucx/ticket_text.h"

namespace atoll::net {
namespace {

constexpr uint32_t kHidden = 4096;  // 8 KB in bf16
constexpr int kInstances = 7, kRounds = 3;

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

double MedianUs(int trips, const std::function<void()>& trip) {
  std::vector<double> us;
  for (int i = 0; i < trips; ++i) {
    const auto start = std::chrono::steady_clock::now();
    trip();
    us.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  return Median(us);
}

class Asker final : public LinkHandler {
 public:
  void OnFrame(Link&, const FrameHeader& header, std::span<const std::byte>) override { answered = header.step; }
  void OnOpen(Link&) override { open = true; }
  void OnClosed(Link&, const absl::Status& reason) override { ATOLL_CHECK(false, reason.ToString()); }
  bool open = false;
  uint64_t answered = 0;
};

class LinkSide {
 public:
  LinkSide(const std::string& transports, bool kept) : kept_(kept), peer_(PeerCommand(transports, kept)) {
    host_ = *OpenUcxHost({.name = "bench"}, {.transports = *ParseUcxTransports(transports)}, asker_);
    link_ = *host_->Connect(ParseTicket(peer_.ReadLine()));
    ticker_ = std::make_unique<LinkTicker>(*host_);  // the other side has its turn for longer than a peer may be silent
    while (!asker_.open) host_->Poll(std::chrono::seconds(1));
  }
  void RoundTrip(uint32_t rows) {
    FrameHeader header;
    header.type = FrameType::kDispatch;
    header.dtype = DType::kBF16;
    header.step = ++step_;
    header.row_count = rows;
    header.pair_count = rows;
    ATOLL_CHECK(Send(header).ok(), "send");
    while (asker_.answered != step_) host_->Poll(std::chrono::seconds(1));
  }

 private:
  static std::vector<std::string> PeerCommand(const std::string& transports, bool kept) {
    std::vector<std::string> command{ATOLL_BINARY_DIR "/net_link_peer", transports, std::to_string(kHidden), "1"};
    if (kept) command.push_back("kept");
    return command;
  }
  absl::Status Send(const FrameHeader& header) {
    const size_t pairs_at = header.row_count * kHidden * 2;
    const auto whole = std::span<const std::byte>(*payload_).first(pairs_at + header.pair_count * kPairBytes);
    if (kept_) return link_->SendKept(header, Payload(&whole, 1), payload_);
    pieces_.clear();
    for (uint32_t row = 0; row < header.row_count; ++row) pieces_.push_back(whole.subspan(row * kHidden * 2, kHidden * 2));
    pieces_.push_back(whole.subspan(pairs_at));
    return link_->Send(header, pieces_);
  }

  const bool kept_;
  std::vector<std::span<const std::byte>> pieces_;
  ChildProcess peer_;
  Asker asker_;
  std::unique_ptr<LinkHost> host_;
  std::unique_ptr<LinkTicker> ticker_;
  Link* link_ = nullptr;
  uint64_t step_ = 0;
  std::shared_ptr<std::vector<std::byte>> payload_ = std::make_shared<std::vector<std::byte>>(kPartBytesMax);  // with sends under way
};

class BareSide {
 public:
  explicit BareSide(const std::string& transports)
      : peer_({ATOLL_BINARY_DIR "/link_bench", "--serve-bare", transports}), ping_pong_({.transports = *ParseUcxTransports(transports)}) {
    ping_pong_.Connect(peer_.ReadLine());
  }
  void RoundTrip(uint32_t rows) { ping_pong_.RoundTrip(rows * (kHidden * 2 + kPairBytes), rows * kHidden * 2); }

 private:
  ChildProcess peer_;
  BarePingPong ping_pong_;
};

// Where the pages of a process happen to lie in the cache changes its 224 KB round trip by half, for as long as it lives:
// hence many pairs of processes.
void Compare(const std::string& transports, uint32_t rows, int trips) {
  std::vector<double> bare_us, kept_us, gathered_us;
  for (int instance = 0; instance < kInstances; ++instance) {
    BareSide bare(transports);
    LinkSide kept(transports, true), gathered(transports, false);
    for (int round = 0; round < kRounds; ++round) {
      bare_us.push_back(MedianUs(trips, [&] { bare.RoundTrip(rows); }));
      kept_us.push_back(MedianUs(trips, [&] { kept.RoundTrip(rows); }));
      gathered_us.push_back(MedianUs(trips, [&] { gathered.RoundTrip(rows); }));
    }
  }
  const double bare = Median(bare_us);
  std::printf("%s %3u KB: bare %6.1f us, link %6.1f us, ratio %.2f; gathered %6.1f us, ratio %.2f\n", transports.c_str(), rows * 8, bare,
              Median(kept_us), Median(kept_us) / bare, Median(gathered_us), Median(gathered_us) / bare);
  std::fflush(stdout);
}

int Run(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--serve-bare") == 0) {
    BarePingPong server({.transports = *ParseUcxTransports(argv[2])});
    std::printf("%s\n", server.address().c_str());
    std::fflush(stdout);
    server.Serve();
  }
  for (const char* transports : {"tcp", "shm"}) {
    Compare(transports, 1, 200);
    Compare(transports, 28, 100);
  }
  return 0;
}

}  // namespace
}  // namespace atoll::net

int main(int argc, char** argv) { return atoll::net::Run(argc, argv); }
