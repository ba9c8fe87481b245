// `atoll chat`: a conversation at the terminal; the whole history goes with every turn.

#include <atomic>
#include <csignal>
#include <iostream>

#include "base/options.h"
#include "cli/command.h"
#include "cli/router_client.h"

namespace atoll::cli {
namespace {

std::atomic<bool> interrupted{false};

void OnInterrupt(int) { interrupted = true; }

// Ctrl-C ends the answer, and the program while it waits for a line.
void CatchInterrupt() {
  struct sigaction action {};
  action.sa_handler = OnInterrupt;  // without SA_RESTART: a read that waits for a line ends
  sigaction(SIGINT, &action, nullptr);
}

class Conversation {
 public:
  Conversation(RouterClient* router, GenerateCall settings, std::string system)
      : router_(router), settings_(std::move(settings)), system_(std::move(system)) {
    Reset();
  }

  void Reset() {
    turns_.clear();
    if (!system_.empty()) turns_.push_back({"system", system_});
  }

  absl::Status Say(const std::string& text) {
    turns_.push_back({"user", text});
    GenerateCall call = settings_;
    call.input = ChatInput{turns_, thinking_};
    std::string answer;
    interrupted = false;
    const auto summary = router_->Generate(call, [&](const ChoicePiece& piece) {
      answer += piece.text;
      std::cout << piece.text << std::flush;
      return !interrupted.load();
    });
    std::cout << std::endl;
    if (!summary.ok() && !interrupted) {
      turns_.pop_back();
      return summary.status();
    }
    turns_.push_back({"assistant", answer});
    return absl::OkStatus();
  }

  void set_thinking(bool on) { thinking_ = on; }

 private:
  RouterClient* router_;
  GenerateCall settings_;
  std::string system_;
  std::optional<bool> thinking_;
  std::vector<ChatTurn> turns_;
};

int Talk(Conversation* conversation) {
  std::string line;
  while (std::cout << "> " << std::flush, std::getline(std::cin, line)) {
    if (line == "/exit" || line == "/quit") return 0;
    if (line == "/reset") {
      conversation->Reset();
      continue;
    }
    if (line.empty()) continue;
    if (const absl::Status status = conversation->Say(line); !status.ok()) ReportError(status);
  }
  std::cout << std::endl;
  return 0;
}

}  // namespace

int RunChat(int argc, const char* const* argv) {
  std::string address, system;
  double temperature = 0, top_p = 0;
  int64_t max_tokens = 0, seed = 0;
  bool thinking = false;
  Options options({"atoll chat", "Talks with the model; /reset forgets, /exit or Ctrl-D ends, Ctrl-C ends an answer.",
                   "  atoll chat --address 127.0.0.1:50051 --system 'Answer in one sentence.'\n", 1});
  options.String("--address", &address, "HOST:PORT of the router");
  options.Require("--address");
  options.String("--system", &system, "system message");
  options.Float("--temperature", &temperature, {0, 100}, "0 is greedy; the model's default when absent");
  options.Float("--top-p", &top_p, {0, 1}, "keep the most probable tokens up to this mass");
  options.Int("--max-tokens", &max_tokens, {1, INT32_MAX}, "tokens per answer at most");
  options.Int("--seed", &seed, {0, INT64_MAX}, "same seed, same answers");
  options.Flag("--thinking", &thinking, "V3.1's thinking mode");
  for (const char* name : {"--temperature", "--top-p", "--max-tokens", "--seed"}) options.NoDefault(name);
  if (const int code = options.Parse(argc, argv); code >= 0) return code;

  GenerateCall settings;
  if (options.Given("--temperature")) settings.temperature = temperature;
  if (options.Given("--top-p")) settings.top_p = top_p;
  if (options.Given("--max-tokens")) settings.max_tokens = max_tokens;
  if (options.Given("--seed")) settings.seed = seed;
  RouterClient router(address);
  const absl::StatusOr<ModelCard> model = router.GetModel();
  if (!model.ok()) return ReportError(model.status());
  std::cout << model->name << ", context of " << model->context_length << " tokens; /reset, /exit\n";
  CatchInterrupt();
  Conversation conversation(&router, std::move(settings), system);
  if (options.Given("--thinking")) conversation.set_thinking(thinking);
  return Talk(&conversation);
}

}  // namespace atoll::cli
