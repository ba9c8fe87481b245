#include "router/inference/front_door.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/error_info.h"
#include "base/log.h"
#include "model/chat/thinking.h"
#include "model/grammar/grammar.h"
#include "router/inference/tool_use.h"

namespace atoll::router {
namespace {

constexpr int64_t kRetryAfterMs = 1000;

std::vector<AttentionLoad> LoadsOf(const Serving& serving) {
  std::vector<AttentionLoad> loads;
  for (const AttentionSeat& seat : serving.seats) {
    loads.push_back({.sequences = seat.client->sequences(),
                     .prompt_tokens = seat.client->prompt_tokens(),
                     .max_num_seqs = seat.max_num_seqs,
                     .max_queued = seat.max_queued,
                     .max_model_len = seat.max_model_len});
  }
  return loads;
}

absl::Status NotReady(const std::string& reason) {
  return WithErrorInfo(absl::UnavailableError(absl::StrCat("the cluster is not ready: ", reason)),
                       {.reason = "NOT_READY", .metadata = {}, .retry_after_ms = kRetryAfterMs});
}

// As a client sees it: a field of its own that is wrong, or right elsewhere and not supported here.
absl::Status RefusedConstraint(const absl::Status& status, const model::Constraint& constraint) {
  const std::string field = std::holds_alternative<model::ToolCallsOnly>(constraint.kind) ? "tools" : "json_schema";
  if (absl::IsInvalidArgument(status)) return InvalidField(field, std::string(status.message()));
  return WithErrorInfo(absl::InvalidArgumentError(absl::StrCat(field, ": ", status.message())),
                       {.reason = "UNSUPPORTED_VALUE", .metadata = {{"field", field}}, .retry_after_ms = {}});
}

// One line a request; of those that go as their clients want it only for who looks closely.
void LogEnd(const RequestStream& stream, const RequestOutcome& outcome, int64_t spent_ms) {
  const LogLevel level = outcome.status.ok() || absl::IsCancelled(outcome.status) ? LogLevel::kDebug : LogLevel::kInfo;
  if (!Logs(level)) return;
  const absl::string_view why = outcome.status.message();
  LogLine(level,
          absl::StrCat(outcome.prompt_tokens, " prompt tokens, ", outcome.completion_tokens, " tokens in ", spent_ms, " ms: ",
                       absl::StatusCodeToString(outcome.status.code()), why.empty() ? "" : ": ", why),
          stream.request().request_id);
}

// Of a request that may be refused.
RequestFacts FactsOf(const GenerateCall& call, int64_t now_ns) {
  return {.trace = call.trace, .request_id = call.request_id, .chat = std::holds_alternative<ChatPrompt>(call.input), .begin_ns = now_ns};
}

RequestFacts FactsOf(const RequestStream& stream, const RequestOutcome& outcome) {
  const Request& request = stream.request();
  return {.trace = request.trace,
          .request_id = request.request_id,
          .chat = request.chat,
          .begin_ns = stream.started_ns(),
          .queue_us = outcome.queue_ns / 1000,
          .first_token_us = outcome.first_token_ns / 1000,
          .prompt_tokens = outcome.prompt_tokens,
          .completion_tokens = outcome.completion_tokens,
          .status = outcome.status};
}

int64_t PromptTokens(const Request& request) { return static_cast<int64_t>(request.prompt_ids.size()) * request.n; }

}  // namespace

FrontDoor::FrontDoor(const FrontDoorOptions& options, const ServedModel* model, const Clock* clock, ServingSource* source)
    : options_(options), model_(model), clock_(clock), source_(source), random_(options.random_seed), admission_(options.admission) {}

int32_t FrontDoor::ContextLength(const Serving& serving) const {
  int64_t length = model_->config().max_position_embeddings;
  for (const AttentionSeat& seat : serving.seats) length = std::min<int64_t>(length, seat.max_model_len);
  return static_cast<int32_t>(length);
}

RequestLimits FrontDoor::Limits(const Serving& serving) const {
  RequestLimits limits;
  limits.model_name = model_->name();
  limits.vocabulary_size = static_cast<int32_t>(model_->config().vocab_size);
  limits.context_length = ContextLength(serving);
  limits.has_tokenizer = model_->tokenizer() != nullptr;
  limits.prompt_bytes_max = limits.context_length * model_->token_bytes_max();
  limits.temperature = static_cast<float>(model_->generation().temperature);
  limits.top_p = static_cast<float>(model_->generation().top_p);
  limits.deadline_ms_max = options_.request_timeout_ms;
  return limits;
}

absl::Status FrontDoor::Generate(GenerateCall call, ResponseSink* sink,
                                 const std::function<void(std::shared_ptr<RequestStream>)>& started) {
  AttentionSeat seat;
  if (options_.tracer != nullptr) call.trace.span = options_.tracer->NewSpan(call.trace.parent);
  RequestFacts facts;
  if (call.trace.span.sampled()) facts = FactsOf(call, clock_->NowNs());
  absl::StatusOr<std::shared_ptr<RequestStream>> prepared = Prepare(std::move(call), sink, seat);
  if (!prepared.ok()) return Refuse(prepared.status(), std::move(facts));
  const std::shared_ptr<RequestStream> stream = *std::move(prepared);
  if (absl::Status status = Admit(stream); !status.ok()) return Refuse(std::move(status), std::move(facts));
  started(stream);
  if (absl::Status status = seat.client->Submit(stream); !status.ok()) stream->Fail(status);
  return absl::OkStatus();
}

absl::Status FrontDoor::Refuse(absl::Status status, RequestFacts facts) {
  metrics_.OnRefused(status);
  if (options_.tracer != nullptr) {
    facts.model = model_->name();
    facts.status = status;
    RecordRequestSpans(*options_.tracer, *clock_, facts);
  }
  std::lock_guard lock(mutex_);
  ++totals_.refused;
  return status;
}

absl::StatusOr<std::shared_ptr<RequestStream>> FrontDoor::Prepare(GenerateCall call, ResponseSink* sink, AttentionSeat& seat) {
  const std::shared_ptr<const Serving> serving = source_->serving();
  const RequestLimits limits = Limits(*serving);
  ATOLL_RETURN_IF_ERROR(ValidateCall(call, limits));
  if (serving->seats.empty()) return NotReady(serving->not_ready_reason);
  ATOLL_ASSIGN_OR_RETURN(std::vector<int32_t> prompt_ids, PromptIds(call));
  ATOLL_RETURN_IF_ERROR(AddToolConstraint(call));
  if (call.constraint) ATOLL_RETURN_IF_ERROR(CheckConstraint(prompt_ids, *call.constraint));
  FillFromRandom(call);
  ATOLL_ASSIGN_OR_RETURN(Request request, MakeRequest(std::move(call), std::move(prompt_ids), limits));
  const int64_t positions = static_cast<int64_t>(request.prompt_ids.size()) + request.max_tokens;
  ATOLL_ASSIGN_OR_RETURN(const size_t chosen, ChooseAttentionNode(LoadsOf(*serving), request.n, positions));
  seat = serving->seats[chosen];
  const uint64_t first_sequence_id = source_->MintSequenceIds(request.n);
  const StreamSurroundings surroundings{.tokenizer = model_->tokenizer(), .eos_ids = &model_->eos_ids(), .clock = clock_, .observer = this};
  return std::make_shared<RequestStream>(std::move(request), first_sequence_id, surroundings, sink);
}

bool FrontDoor::BeginsThinking(const std::vector<int32_t>& prompt_ids) const {
  constexpr size_t kTailTokens = 8;  // as many as a tag may be cut into
  const absl::StatusOr<std::string> tail = Detokenize({prompt_ids.end() - static_cast<int64_t>(std::min(kTailTokens, prompt_ids.size())), prompt_ids.end()});
  return tail.ok() && model::EndsInsideThinking(*tail);
}

absl::Status FrontDoor::AddToolConstraint(GenerateCall& call) const {
  const auto* chat = std::get_if<ChatPrompt>(&call.input);
  if (chat == nullptr || !chat->tool_use.offered()) return absl::OkStatus();
  if (call.constraint) return InvalidField("response_format", "other than text is not supported beside tools; with tool_choice none it is");
  ATOLL_ASSIGN_OR_RETURN(const model::Tokenizer* tokenizer, model_->ForText());
  const auto control_tokens = [tokenizer](std::string_view content) { return tokenizer->IdOf(content); };
  ATOLL_ASSIGN_OR_RETURN(call.constraint, ConstraintOfTools(chat->tool_use, model_->tool_call_style(), control_tokens));
  return absl::OkStatus();
}

// Attention nodes compile it again; here it is compiled to be refused before anything is spent.
absl::Status FrontDoor::CheckConstraint(const std::vector<int32_t>& prompt_ids, model::Constraint& constraint) const {
  ATOLL_ASSIGN_OR_RETURN(const model::Tokenizer* tokenizer, model_->ForText());
  constraint.after_thinking = BeginsThinking(prompt_ids);
  const auto control_tokens = [tokenizer](std::string_view content) { return tokenizer->IdOf(content); };
  const auto compiled = model::grammar::Grammar::Compile(constraint, control_tokens);
  return compiled.ok() ? absl::OkStatus() : RefusedConstraint(compiled.status(), constraint);
}

void FrontDoor::FillFromRandom(GenerateCall& call) {
  std::lock_guard lock(mutex_);
  if (call.request_id.empty()) call.request_id = absl::StrFormat("r-%016x", random_());
  if (!call.sampling.seed) call.sampling.seed = random_();
}

absl::StatusOr<std::vector<int32_t>> FrontDoor::ChatIds(const ChatPrompt& chat) const {
  ATOLL_ASSIGN_OR_RETURN(const model::Tokenizer* tokenizer, model_->ForText());
  ATOLL_ASSIGN_OR_RETURN(const model::ChatFormat* format, model_->ForChat());
  const bool has_thinking = format->name() == "v3.1";
  if (chat.thinking.value_or(false) && !has_thinking) {
    return InvalidField("chat.thinking", absl::StrCat("the model's chat format (", std::string(format->name()), ") has no thinking mode"));
  }
  const model::ChatOptions options{.add_generation_prompt = true, .thinking = chat.thinking.value_or(false)};
  std::vector<model::ChatMessage> messages = chat.messages;
  if (chat.tool_use.offered()) model::AddToolPrompt(chat.tool_use.tools, model_->tool_call_style(), messages);
  ATOLL_ASSIGN_OR_RETURN(const model::RenderedChat rendered, format->Render(messages, options));
  return rendered.Encode(*tokenizer, model::AddedTokens::kPlainText);
}

absl::StatusOr<std::vector<int32_t>> FrontDoor::PromptIds(const GenerateCall& call) const {
  if (const auto* ids = std::get_if<TokenPrompt>(&call.input)) return *ids;
  if (const auto* chat = std::get_if<ChatPrompt>(&call.input)) return ChatIds(*chat);
  ATOLL_ASSIGN_OR_RETURN(const model::Tokenizer* tokenizer, model_->ForText());
  return tokenizer->EncodePrompt(std::get<TextPrompt>(call.input).text);
}

absl::StatusOr<std::vector<int32_t>> FrontDoor::Tokenize(const TokenizeCall& call) const {
  if (const auto* chat = std::get_if<ChatPrompt>(&call.input)) return ChatIds(*chat);
  const auto* text = std::get_if<TextPrompt>(&call.input);
  if (text == nullptr) return InvalidField("input", "one of text and chat must be set");
  ATOLL_ASSIGN_OR_RETURN(const model::Tokenizer* tokenizer, model_->ForText());
  const auto added_tokens = call.no_specials ? model::AddedTokens::kPlainText : model::AddedTokens::kMatch;
  ATOLL_ASSIGN_OR_RETURN(std::vector<int32_t> ids, tokenizer->Encode(text->text, added_tokens));
  if (call.add_bos && tokenizer->add_bos() && tokenizer->bos_id()) ids.insert(ids.begin(), *tokenizer->bos_id());
  return ids;
}

absl::StatusOr<std::string> FrontDoor::Detokenize(const std::vector<int32_t>& ids) const {
  ATOLL_ASSIGN_OR_RETURN(const model::Tokenizer* tokenizer, model_->ForText());
  return tokenizer->Decode(ids, model::SpecialTokens::kKeep);
}

absl::Status FrontDoor::Admit(const std::shared_ptr<RequestStream>& stream) {
  const Request& request = stream->request();
  std::lock_guard lock(mutex_);
  if (running_.contains(request.request_id)) {
    return WithErrorInfo(absl::AlreadyExistsError(absl::StrCat("request_id \"", request.request_id, "\" is running; choose another")),
                         {.reason = "REQUEST_ID_IN_USE", .metadata = {}, .retry_after_ms = {}});
  }
  const double jitter = static_cast<double>(random_() >> 11) * 0x1p-53;
  ATOLL_RETURN_IF_ERROR(admission_.Admit(PromptTokens(request), jitter));
  running_[request.request_id] = {.stream = stream, .queued_prompt_tokens = PromptTokens(request)};
  ++totals_.requests;
  return absl::OkStatus();
}

void FrontDoor::OnFirstToken(const RequestStream& stream, int64_t after_ns) {
  metrics_.OnFirstToken(static_cast<int64_t>(stream.request().prompt_ids.size()), after_ns);
  std::lock_guard lock(mutex_);
  const auto found = running_.find(stream.request().request_id);
  if (found != running_.end()) admission_.PromptDone(std::exchange(found->second.queued_prompt_tokens, 0));
}

void FrontDoor::OnRequestEnd(const RequestStream& stream, const RequestOutcome& outcome) {
  metrics_.OnEnd(outcome);
  if (options_.tracer != nullptr && stream.request().trace.span.sampled()) {
    RequestFacts facts = FactsOf(stream, outcome);
    facts.model = model_->name();
    RecordRequestSpans(*options_.tracer, *clock_, facts);
  }
  LogEnd(stream, outcome, (clock_->NowNs() - stream.started_ns()) / 1000000);
  std::lock_guard lock(mutex_);
  const auto found = running_.find(stream.request().request_id);
  if (found == running_.end()) return;
  admission_.PromptDone(found->second.queued_prompt_tokens);
  admission_.Release();
  running_.erase(found);
  if (absl::IsCancelled(outcome.status)) {
    ++totals_.cancelled;
  } else if (!outcome.status.ok()) {
    ++totals_.failed;
  }
}

std::vector<std::shared_ptr<RequestStream>> FrontDoor::RunningStreams() const {
  std::vector<std::shared_ptr<RequestStream>> streams;
  std::lock_guard lock(mutex_);
  for (const auto& [id, running] : running_) streams.push_back(running.stream);
  return streams;
}

void FrontDoor::Tick() {
  const int64_t now_ns = clock_->NowNs();
  for (const std::shared_ptr<RequestStream>& stream : RunningStreams()) {
    if (!stream->PastDeadline(now_ns)) continue;
    stream->Fail(WithErrorInfo(absl::DeadlineExceededError(absl::StrCat("the request did not end within ", stream->request().deadline_ms, " ms")),
                               {.reason = "DEADLINE_PASSED", .metadata = {}, .retry_after_ms = {}}));
  }
}

void FrontDoor::Drain() {
  std::lock_guard lock(mutex_);
  admission_.Drain();
}

void FrontDoor::FailAll(const absl::Status& status) {
  for (const std::shared_ptr<RequestStream>& stream : RunningStreams()) stream->Fail(status);
}

RequestTotals FrontDoor::totals() const {
  std::lock_guard lock(mutex_);
  RequestTotals totals = totals_;
  totals.running = admission_.requests();
  totals.tokens = static_cast<int64_t>(metrics_.generated_tokens());
  return totals;
}

}  // namespace atoll::router
