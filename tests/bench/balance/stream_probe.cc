// Streams against a router, for cluster_balance: every stream asks one request after the other until the time is up or SIGINT comes. What
// request i of stream s asks is a function of (s, i), so that two runs can be compared request by request.
//   stream_probe --address HOST:PORT [--streams 32] [--seconds 20] [--max-tokens 64] [--prompt-tokens 24] [--vocabulary 4000]
// Prints, when all is done, "request STREAM INDEX STATUS TOKENS DIGEST BEGIN_US FIRST_US" (a digest of token ids and the bits of
// their logprobs; when it was asked for, and when its first token came) and "gap END_US LENGTH_US" for every two messages with tokens that followed one another (steady clock).

#include <atomic>
#include <bit>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cli/router_client.h"

namespace atoll::bench {
namespace {

struct Options {
  std::string address;
  int streams = 32, seconds = 20, max_tokens = 64, prompt_tokens = 24, vocabulary = 4000;
};

struct Outcome {
  int index = 0;
  std::string status = "OK";
  int64_t tokens = 0;
  uint64_t digest = 0xcbf29ce484222325ULL;
  int64_t begin_us = 0, first_us = 0;
};

struct Stream {
  std::vector<Outcome> outcomes;
  std::vector<std::pair<int64_t, int64_t>> gaps;  // end, length
};

std::atomic<bool> stopped{false};  // SIGINT: as if the time were up

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// FNV-1a.
void Add(uint64_t value, uint64_t& digest) {
  for (int i = 0; i < 8; ++i) digest = (digest ^ (value >> 8 * i & 0xFF)) * 0x100000001b3ULL;
}

cli::GenerateCall CallOf(const Options& options, int stream, int index) {
  cli::GenerateCall call;
  cli::IdsInput input;
  uint64_t state = static_cast<uint64_t>(stream) * 1'000'003 + static_cast<uint64_t>(index);
  for (int i = 0; i < options.prompt_tokens; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    input.ids.push_back(3 + static_cast<int32_t>((state >> 33) % static_cast<uint64_t>(options.vocabulary - 3)));
  }
  call.input = std::move(input);
  call.temperature = 1;
  call.seed = stream * 100'000 + index;
  call.max_tokens = options.max_tokens;
  call.ignore_eos = true;
  call.logprobs = 0;
  return call;
}

void RunStream(const Options& options, int number, int64_t end_us, Stream& stream) {
  cli::RouterClient client(options.address);
  for (int index = 0; NowUs() < end_us && !stopped; ++index) {
    Outcome outcome{.index = index, .begin_us = NowUs()};
    int64_t last_us = 0;
    const auto summary = client.Generate(CallOf(options, number, index), [&](const cli::ChoicePiece& piece) {
      if (piece.token_ids.empty()) return true;
      const int64_t now_us = NowUs();
      if (last_us != 0) stream.gaps.emplace_back(now_us, now_us - last_us);
      else outcome.first_us = now_us;
      last_us = now_us;
      outcome.tokens += static_cast<int64_t>(piece.token_ids.size());
      for (const int32_t id : piece.token_ids) Add(static_cast<uint64_t>(id), outcome.digest);
      for (const cli::TokenLogprob& one : piece.logprobs) Add(std::bit_cast<uint32_t>(one.logprob), outcome.digest);
      return true;
    });
    if (!summary.ok()) outcome.status = summary.status().ToString();
    for (char& c : outcome.status) c = c == ' ' || c == '\n' ? '_' : c;
    stream.outcomes.push_back(std::move(outcome));
    if (!summary.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(100));  // refused: not a storm of them
  }
}

}  // namespace

int Main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--address") options.address = argv[i + 1];
    else if (name == "--streams") options.streams = std::atoi(argv[i + 1]);
    else if (name == "--seconds") options.seconds = std::atoi(argv[i + 1]);
    else if (name == "--max-tokens") options.max_tokens = std::atoi(argv[i + 1]);
    else if (name == "--prompt-tokens") options.prompt_tokens = std::atoi(argv[i + 1]);
    else if (name == "--vocabulary") options.vocabulary = std::atoi(argv[i + 1]);
    else return std::fprintf(stderr, "stream_probe: %s is no option\n", argv[i]), 2;
  }
  if (options.address.empty()) return std::fprintf(stderr, "stream_probe: --address is missing\n"), 2;
  std::signal(SIGINT, [](int) { stopped = true; });
  const int64_t end_us = NowUs() + int64_t{options.seconds} * 1'000'000;
  std::vector<Stream> streams(options.streams);
  std::vector<std::thread> threads;
  for (int s = 0; s < options.streams; ++s) threads.emplace_back([&, s] { RunStream(options, s, end_us, streams[s]); });
  for (std::thread& thread : threads) thread.join();
  for (size_t s = 0; s < streams.size(); ++s) {
    for (const Outcome& o : streams[s].outcomes)
      std::printf("request %zu %d %s %lld %016llx %lld %lld\n", s, o.index, o.status.c_str(), static_cast<long long>(o.tokens),
                  static_cast<unsigned long long>(o.digest), static_cast<long long>(o.begin_us), static_cast<long long>(o.first_us));
    for (const auto& [at_us, length_us] : streams[s].gaps) std::printf("gap %lld %lld\n", static_cast<long long>(at_us), static_cast<long long>(length_us));
  }
  return 0;
}

}  // namespace atoll::bench

int main(int argc, char** argv) { return atoll::bench::Main(argc, argv); }
