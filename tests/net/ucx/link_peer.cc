// net_link_peer TRANSPORTS HIDDEN SESSIONS [kept]: an expert node without experts. Prints one ticket per session, then
// answers every dispatch part with a result of its size, until it is killed; row by row, or with "kept" as one kept piece.

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "net/ucx/ucx_host.h"
#include "tests/net/ucx/ticket_text.h"

namespace atoll::net {
namespace {

class Answerer final : public LinkHandler {
 public:
  explicit Answerer(bool kept) : kept_(kept) {}

  void OnFrame(Link& link, const FrameHeader& header, std::span<const std::byte>) override { asked_.emplace_back(&link, header); }
  void OnOpen(Link&) override {}
  void OnClosed(Link& link, const absl::Status&) override {
    std::erase_if(asked_, [&](const auto& asked) { return asked.first == &link; });
  }

  // Results go out after Poll, as a node's do that computed them.
  void Answer() {
    size_t answered = 0;
    for (; answered < asked_.size() && asked_[answered].first->CanSend(); ++answered) AnswerOne(asked_[answered]);
    asked_.erase(asked_.begin(), asked_.begin() + static_cast<long>(answered));
  }

 private:
  void AnswerOne(const std::pair<Link*, FrameHeader>& asked) {
    const FrameLimits& limits = asked.first->terms().limits;
    FrameHeader result = asked.second;
    result.type = FrameType::kResult;
    result.dtype = limits.result_dtype;
    result.row_count = 0;
    const size_t row_bytes = WireRowBytes(limits.result_dtype, limits.hidden_size);
    const auto whole = std::span<const std::byte>(*rows_).first(result.pair_count * row_bytes);
    if (kept_) return (void)asked.first->SendKept(result, Payload(&whole, 1), rows_);
    pieces_.clear();
    for (uint32_t i = 0; i < result.pair_count; ++i) pieces_.push_back(whole.subspan(i * row_bytes, row_bytes));
    (void)asked.first->Send(result, pieces_);
  }

  const bool kept_;
  std::vector<std::pair<Link*, FrameHeader>> asked_;
  std::vector<std::span<const std::byte>> pieces_;
  std::shared_ptr<std::vector<std::byte>> rows_ = std::make_shared<std::vector<std::byte>>(kPartBytesMax);  // with sends under way
};

int Run(const char* transports, uint32_t hidden, int sessions, bool kept) {
  Answerer answerer(kept);
  const auto kind = ParseUcxTransports(transports);
  if (!kind) return 2;
  const auto host = OpenUcxHost({.name = "peer", .incarnation = RandomNumber()}, {.transports = *kind}, answerer);
  if (!host.ok()) {
    std::fprintf(stderr, "%s\n", host.status().ToString().c_str());
    return 1;
  }
  SessionTerms terms;
  terms.limits = {.hidden_size = hidden, .layers = 4, .experts = 8};
  for (int i = 0; i < sessions; ++i) {
    const auto ticket = (*host)->AllowSession("test", terms);
    if (!ticket.ok()) return 1;
    std::printf("%s\n", FormatTicket(*ticket).c_str());
  }
  std::fflush(stdout);
  while (true) {
    (*host)->Poll(std::chrono::seconds(1));
    answerer.Answer();
  }
}

}  // namespace
}  // namespace atoll::net

int main(int argc, char** argv) {
  if (argc < 4 || argc > 5) return 2;
  return atoll::net::Run(argv[1], static_cast<uint32_t>(std::atoi(argv[2])), std::atoi(argv[3]), argc == 5);
}
