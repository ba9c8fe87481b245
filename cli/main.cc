#include <cstdio>
#include <cstring>
#include <iostream>

#include "absl/strings/str_replace.h"
#include "base/options.h"
#include "cli/command.h"

namespace atoll::cli {
namespace {

struct Command {
  const char* name;
  const char* summary;
  int (*run)(int argc, const char* const* argv);
};

constexpr Command kCommands[] = {
    {"up", "start a whole cluster on this machine", RunUp},
    {"generate", "answer one prompt", RunGenerate},
    {"chat", "talk with the model", RunChat},
    {"status", "show the nodes, their loads and the balance of the experts", RunStatus},
    {"load", "send requests as many clients would, and report how they are answered", RunLoad},
    {"placement", "show and change who holds which experts", RunPlacement},
    {"tokenize", "turn standard input into token ids", RunTokenize},
    {"detokenize", "turn token ids on standard input into text", RunDetokenize},
    {"balance-sim", "place recorded expert loads and judge the balance", RunBalanceSim},
    {"model", "inspect a checkpoint or make a random one", RunModel},
};

constexpr const char* kExamples =
    "  atoll up --model checkpoints/tales --experts 2\n"
    "  atoll generate --address 127.0.0.1:50051 --prompt 'Once upon a time'\n"
    "  atoll chat --address 127.0.0.1:50051\n";

void PrintCommands(std::ostream& out) {
  out << "atoll: serves models of the DeepSeek-V3 architecture on a cluster\n\n" << kExamples << "\ncommands:\n";
  for (const Command& command : kCommands) out << "  " << command.name << std::string(13 - std::strlen(command.name), ' ') << command.summary << "\n";
  out << "\natoll COMMAND --help says more; atoll --version\n";
}

int Run(int argc, const char* const* argv) {
  const std::string name = argc > 1 ? argv[1] : "";
  for (const Command& command : kCommands)
    if (name == command.name) return command.run(argc - 1, argv + 1);
  if (name == "--version") return std::cout << "atoll " << VersionText() << "\n", 0;
  if (name == "--help" || name == "-h") return PrintCommands(std::cout), 0;
  if (!name.empty()) std::cerr << "atoll: unknown command " << name << "\n\n";
  PrintCommands(std::cerr);
  return 2;
}

}  // namespace

int ReportError(const absl::Status& status) {
  const std::string message = absl::StrReplaceAll(status.message(), {{"\n", " "}, {"\r", " "}});
  std::cerr << "error: " << absl::StatusCodeToString(status.code()) << ": " << message << std::endl;
  return 1;
}

}  // namespace atoll::cli

int main(int argc, char** argv) { return atoll::cli::Run(argc, argv); }
