#include "router/vllm/vllm_service.h"

#include <algorithm>
#include <filesystem>
#include <mutex>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "net/grpc/single_request.h"
#include "router/vllm/cluster_load.h"
#include "router/vllm/generate_service.h"
#include "router/vllm/tokenizer_bundle.h"
#include "vllm/grpc/engine/vllm_engine.pb.h"

namespace atoll::router {
namespace {

namespace engine = vllm::grpc::engine;
namespace common = smg::grpc::common;

constexpr size_t kTokenizerChunkBytes = 1 << 20;
constexpr int64_t kRateWindowNs = 1'000'000'000;

std::string Canonical(const std::string& directory) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::weakly_canonical(directory, error);
  return error ? directory : path.string();
}

int32_t Saturated(int64_t value) { return static_cast<int32_t>(std::clamp<int64_t>(value, 0, INT32_MAX)); }

// The archive in pieces; owns itself, as gRPC wants.
class TokenizerReactor final : public net::SingleRequestReactor<common::GetTokenizerRequest, common::GetTokenizerChunk> {
 public:
  explicit TokenizerReactor(const absl::StatusOr<TokenizerBundle>* bundle) : bundle_(bundle) {}
  void OnWriteDone(bool ok) override { ok ? WriteNext() : Finish({grpc::CANCELLED, "the client has left"}); }

 private:
  void OnRequest(const common::GetTokenizerRequest&) override {
    if (!bundle_->ok()) return Finish(net::ToGrpcStatus(bundle_->status()));
    WriteNext();
  }
  void WriteNext() {
    const std::string& archive = (*bundle_)->archive;
    chunk_.set_data(archive.substr(offset_, kTokenizerChunkBytes));
    offset_ += kTokenizerChunkBytes;
    if (offset_ < archive.size()) return StartWrite(&chunk_);
    chunk_.set_sha256((*bundle_)->sha256);
    StartWriteAndFinish(&chunk_, grpc::WriteOptions(), grpc::Status::OK);
  }

  const absl::StatusOr<TokenizerBundle>* const bundle_;  // the service's
  common::GetTokenizerChunk chunk_;
  size_t offset_ = 0;
};

// Tokens per second between two calls that lie a second or more apart. Thread-safe.
class TokenRate {
 public:
  explicit TokenRate(int64_t now_ns) : since_ns_(now_ns) {}

  double Update(int64_t now_ns, int64_t tokens) {
    std::lock_guard lock(mutex_);
    if (now_ns - since_ns_ < kRateWindowNs) return rate_;
    rate_ = static_cast<double>(tokens - tokens_) * 1e9 / static_cast<double>(now_ns - since_ns_);
    since_ns_ = now_ns;
    tokens_ = tokens;
    return rate_;
  }

 private:
  std::mutex mutex_;
  int64_t since_ns_;  // guarded by mutex_, as all below
  int64_t tokens_ = 0;
  double rate_ = 0;
};

class VllmService final : public net::SingleRequestService {
 public:
  explicit VllmService(const VllmSurroundings& surroundings)
      : around_(surroundings),
        started_ns_(around_.clock->NowNs()),
        directory_(Canonical(model().directory())),
        bundle_(MakeTokenizerBundle(model().directory())),
        rate_(started_ns_) {
    calls_.front_door = around_.front_door;
    calls_.worker = around_.worker;
    Add<engine::GenerateRequest, engine::GenerateResponse>("/vllm.grpc.engine.VllmEngine/Generate", [this](grpc::CallbackServerContext* context) {
      return NewGenerateReactor(context, &calls_);
    });
    Add<common::GetTokenizerRequest, common::GetTokenizerChunk>("/vllm.grpc.engine.VllmEngine/GetTokenizer", [this](grpc::CallbackServerContext*) {
      return new TokenizerReactor(&bundle_);
    });
    AddAnswer<engine::AbortRequest, engine::AbortResponse>("/vllm.grpc.engine.VllmEngine/Abort", &VllmService::Abort);
    AddAnswer<engine::HealthCheckRequest, engine::HealthCheckResponse>("/vllm.grpc.engine.VllmEngine/HealthCheck", &VllmService::HealthCheck);
    AddAnswer<engine::GetModelInfoRequest, engine::GetModelInfoResponse>("/vllm.grpc.engine.VllmEngine/GetModelInfo", &VllmService::GetModelInfo);
    AddAnswer<engine::GetServerInfoRequest, engine::GetServerInfoResponse>("/vllm.grpc.engine.VllmEngine/GetServerInfo", &VllmService::GetServerInfo);
    AddAnswer<engine::GetLoadsRequest, engine::GetLoadsResponse>("/vllm.grpc.engine.VllmEngine/GetLoads", &VllmService::GetLoads);
  }

 private:
  template <typename Request, typename Response>
  void AddAnswer(const char* method, void (VllmService::*answer)(const Request&, Response&)) {
    AddUnary<Request, Response>(method, [this, answer](const Request& request, Response& response, auto done) {
      (this->*answer)(request, response);
      done(absl::OkStatus());
    });
  }

  const ServedModel& model() const { return around_.front_door->model(); }

  void Abort(const engine::AbortRequest& request, engine::AbortResponse&) {
    for (const std::string& id : request.request_ids()) AbortCalls(id, calls_);
  }

  void HealthCheck(const engine::HealthCheckRequest&, engine::HealthCheckResponse& to) {
    const std::shared_ptr<const Serving> serving = around_.control->serving();
    to.set_healthy(!*around_.draining && !serving->seats.empty());
    if (*around_.draining) {
      to.set_message("the router is shutting down");
    } else if (!to.healthy()) {
      to.set_message(serving->not_ready_reason);
    }
  }

  void GetModelInfo(const engine::GetModelInfoRequest&, engine::GetModelInfoResponse& to) {
    const int32_t context_length = around_.front_door->context_length();
    to.set_model_path(directory_);
    to.set_tokenizer_path(directory_);
    to.set_is_generation(true);
    to.set_max_context_length(static_cast<uint32_t>(context_length));
    to.set_max_req_input_len(context_length - 1);
    to.set_vocab_size(static_cast<uint32_t>(model().config().vocab_size));
    to.set_served_model_name(model().name());
    to.set_model_type(model().config().model_type);
    to.add_architectures("DeepseekV3ForCausalLM");  // of all that is served here
    to.mutable_eos_token_ids()->Assign(model().eos_ids().begin(), model().eos_ids().end());
    to.set_bos_token_id(static_cast<int32_t>(std::max<int64_t>(model().config().bos_token_id, 0)));
    // What a request without them gets, here and there.
    to.set_default_sampling_params_json(absl::StrFormat("{\"temperature\": %g, \"top_p\": %g}", model().generation().temperature, model().generation().top_p));
  }

  void GetServerInfo(const engine::GetServerInfoRequest&, engine::GetServerInfoResponse& to) {
    to.set_active_requests(static_cast<uint32_t>(around_.front_door->totals().running));
    to.set_last_receive_timestamp(static_cast<double>(calls_.last_received_ms) / 1000);
    to.set_uptime_seconds(static_cast<double>(around_.clock->NowNs() - started_ns_) / 1e9);
    to.set_server_type("atoll");
    to.set_data_parallel_size(1);
    to.set_block_size(model::kPagePositions);
    to.set_max_num_seqs(Saturated(LoadOf(around_.control->Report(false)).sequences_max));
  }

  void GetLoads(const engine::GetLoadsRequest&, engine::GetLoadsResponse& to) {
    const ClusterLoad load = LoadOf(around_.control->Report(false));
    to.set_timestamp(absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()));
    to.set_version(around_.version);
    to.set_dp_rank_count(1);
    engine::SchedulerLoad& one = *to.add_loads();
    one.set_num_running_reqs(Saturated(load.running));
    one.set_num_waiting_reqs(Saturated(load.waiting));
    one.set_num_total_reqs(Saturated(load.running + load.waiting));
    one.set_num_used_tokens(Saturated(load.positions_used));
    one.set_max_total_num_tokens(Saturated(load.positions_max));
    one.set_token_usage(load.page_use());
    one.set_gen_throughput(rate_.Update(around_.clock->NowNs(), around_.front_door->totals().tokens));
    one.set_utilization(load.sequence_use());
    one.set_max_running_requests(Saturated(load.sequences_max));
    int64_t prompt_tokens = 0;
    for (const AttentionSeat& seat : around_.control->serving()->seats) prompt_tokens += seat.client->prompt_tokens();
    one.set_num_waiting_uncached_tokens(Saturated(prompt_tokens));
  }

  const VllmSurroundings around_;
  const int64_t started_ns_;
  const std::string directory_;
  const absl::StatusOr<TokenizerBundle> bundle_;  // of the files as they are when the router starts
  VllmCalls calls_;
  TokenRate rate_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeVllmService(const VllmSurroundings& surroundings) { return std::make_unique<VllmService>(surroundings); }

}  // namespace atoll::router
