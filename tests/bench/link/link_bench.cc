// link_bench: a dispatch and its result over a Link against a bare UCX ping-pong of the same bytes in the same wait mode,
// two processes each. Rounds of the two alternate, so that whatever else the machine does hits both.
//   transport size: bare p50 us, link p50 us, ratio (bar: 1.3)

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "net/ucx/ucx_host.h"
#include "tests/bench/link/bare_ping_pong.h"
#include "tests/net/ucx/child_process.h"
#include "tests/net/ucx/ticket_text.h"

namespace atoll::net {
namespace {

constexpr uint32_t kHidden = 4096;  // 8 KB in bf16
constexpr int kRounds = 15;

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
  explicit LinkSide(const std::string& transports) : peer_({ATOLL_BINARY_DIR "/net_link_peer", transports, std::to_string(kHidden), "1"}) {
    host_ = *OpenUcxHost({.name = "bench"}, {.transports = *ParseUcxTransports(transports)}, asker_);
    link_ = *host_->Connect(ParseTicket(peer_.ReadLine()));
    while (!asker_.open) host_->Poll(std::chrono::seconds(1));
  }
  void RoundTrip(uint32_t rows) {
    FrameHeader header;
    header.type = FrameType::kDispatch;
    header.dtype = DType::kBF16;
    header.step = ++step_;
    header.row_count = rows;
    header.pair_count = rows;
    const auto piece = std::span<const std::byte>(*payload_).first(rows * (kHidden * 2 + kPairBytes));
    ATOLL_CHECK(link_->SendKept(header, Payload(&piece, 1), payload_).ok(), "send");
    while (asker_.answered != step_) host_->Poll(std::chrono::seconds(1));
  }

 private:
  ChildProcess peer_;
  Asker asker_;
  std::unique_ptr<LinkHost> host_;
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

void Compare(const std::string& transports, uint32_t rows, int trips) {
  BareSide bare(transports);
  LinkSide link(transports);
  std::vector<double> bare_us, link_us, ratios;
  for (int round = 0; round < kRounds; ++round) {
    bare_us.push_back(MedianUs(trips, [&] { bare.RoundTrip(rows); }));
    link_us.push_back(MedianUs(trips, [&] { link.RoundTrip(rows); }));
    ratios.push_back(link_us.back() / bare_us.back());
  }
  std::printf("%s %3u KB: bare %6.1f us, link %6.1f us, ratio %.2f (lowest round: %.1f, %.1f)\n", transports.c_str(), rows * 8, Median(bare_us),
              Median(link_us), Median(ratios), *std::min_element(bare_us.begin(), bare_us.end()),
              *std::min_element(link_us.begin(), link_us.end()));
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
    Compare(transports, 1, 400);
    Compare(transports, 28, 200);
  }
  return 0;
}

}  // namespace
}  // namespace atoll::net

int main(int argc, char** argv) { return atoll::net::Run(argc, argv); }
