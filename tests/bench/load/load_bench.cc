// What one core of `atoll load` can receive: the program itself, pinned to the last CPU, against a stub on CPU 0 that
// streams messages of one token as fast as they are taken. load_bench [grpc|http [OPTION OF ATOLL LOAD...]]

#include <grpcpp/support/server_callback.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "atoll/v1/cluster.grpc.pb.h"
#include "atoll/v1/inference.grpc.pb.h"
#include "base/check.h"
#include "net/grpc/server.h"
#include "tests/bench/load/http_stub.h"

namespace atoll::load {
namespace {

void PinTo(int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  ATOLL_CHECK(sched_setaffinity(0, sizeof cpus, &cpus) == 0, "no such CPU");
}

// Streams max_tokens messages of one token and a little text, then the usage.
class StubStream final : public grpc::ServerWriteReactor<v1::GenerateResponse> {
 public:
  explicit StubStream(const v1::GenerateRequest& request) : tokens_(request.stopping().max_tokens()) {
    v1::Choice* choice = response_.add_choices();
    choice->add_token_ids(12345);
    choice->set_text(" word");
    OnWriteDone(true);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    if (sent_++ < tokens_) return StartWrite(&response_);
    if (usage_sent_) return Finish(grpc::Status::OK);
    usage_sent_ = true;
    response_.clear_choices();
    response_.mutable_usage()->set_completion_tokens(tokens_);
    StartWrite(&response_);
  }
  void OnDone() override { delete this; }

 private:
  const int64_t tokens_;
  int64_t sent_ = 0;
  bool usage_sent_ = false;
  v1::GenerateResponse response_;
};

class StubInference final : public v1::InferenceService::CallbackService {
  grpc::ServerWriteReactor<v1::GenerateResponse>* Generate(grpc::CallbackServerContext*, const v1::GenerateRequest* request) override {
    return new StubStream(*request);
  }
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context, const v1::GetModelRequest*, v1::GetModelResponse* response) override {
    response->set_name("stub");
    response->set_has_tokenizer(true);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

class StubCluster final : public v1::ClusterService::CallbackService {
  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context, const v1::GetStatusRequest*, v1::GetStatusResponse* response) override {
    response->set_ready(true);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

[[noreturn]] void RunGrpcStub(int pipe) {
  net::PrepareGrpc();
  StubInference inference;
  StubCluster cluster;
  auto server = net::GrpcServer::Start({.listen = "127.0.0.1:0"}, {&inference, &cluster});
  ATOLL_CHECK(server.ok(), std::string(server.status().message()));
  const std::string& address = (*server)->address();
  ATOLL_CHECK(write(pipe, address.data(), address.size()) > 0, "pipe");
  while (true) pause();
}

struct Stub {
  pid_t pid;
  std::string address;
};

Stub StartStub(bool http) {
  int ends[2];
  ATOLL_CHECK(pipe(ends) == 0, "pipe");
  const pid_t pid = fork();
  if (pid == 0) {
    PinTo(0);
    http ? RunHttpStub(ends[1]) : RunGrpcStub(ends[1]);
  }
  char address[200] = {};
  ATOLL_CHECK(read(ends[0], address, sizeof address - 1) > 0, "the stub did not start");
  return {pid, address};
}

// The client as its own process on `cpu`; what it used.
rusage RunClient(std::vector<std::string> words, int cpu) {
  const pid_t pid = fork();
  if (pid == 0) {
    PinTo(cpu);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  rusage used{};
  int status = 0;
  ATOLL_CHECK(wait4(pid, &status, 0, &used) == pid && status == 0, "atoll load failed");
  return used;
}

double Seconds(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; }

void Run(int argc, char** argv) {
  const auto cpus = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  const bool http = argc > 1 && std::string(argv[1]) == "http";
  const Stub stub = StartStub(http);
  char report_path[] = "/tmp/load_bench_XXXXXX";
  close(mkstemp(report_path));
  std::vector<std::string> words{ATOLL_BINARY_DIR "/atoll", "load", "--address", http ? "http://" + stub.address : stub.address, "--json", report_path};
  const std::vector<std::string> usual{"--concurrency", "64", "--output-tokens", "1000", "--duration", "10s"};
  if (argc > 2) words.insert(words.end(), argv + 2, argv + argc);
  else words.insert(words.end(), usual.begin(), usual.end());
  const rusage used = RunClient(words, cpus - 1);
  kill(stub.pid, SIGKILL);
  std::ifstream file(report_path);
  const auto report = nlohmann::json::parse(file);
  unlink(report_path);
  const double tokens = report["tokens"]["received"], wall = report["run"]["wall_s"], cpu = Seconds(used.ru_utime) + Seconds(used.ru_stime);
  std::printf("\n%.0f tokens received in %.2f s: %.0f tokens/s; client on one core: %.2f s of CPU time, %.0f tokens per CPU second, %.1f us per token; %ld MB at most\n",
              tokens, wall, tokens / wall, cpu, tokens / cpu, cpu / tokens * 1e6, used.ru_maxrss / 1024);
}

}  // namespace
}  // namespace atoll::load

int main(int argc, char** argv) {
  atoll::load::Run(argc, argv);
  return 0;
}
