#include "router/request/request_stream.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error_info.h"
#include "model/tokenizer/folder_tokenizer.h"

namespace atoll::router {
namespace {

constexpr int32_t kEos = 1;

const model::Tokenizer* Tales() {
  static const auto folder = model::FolderTokenizer::Load(ATOLL_SOURCE_DIR "/checkpoints/tales", {});
  return folder.ok() ? folder->tokenizer() : nullptr;
}

// A client that reads when told to.
class FakeSink : public ResponseSink {
 public:
  void Write(const ResponseDelta& delta) override {
    ++writes;
    for (const ChoiceDelta* choice : delta.choices) {
      text[choice->index] += choice->text;
      for (const SampledToken& token : choice->tokens) ids[choice->index].push_back(token.token_id);
      if (choice->finish) finish[choice->index] = choice->finish;
    }
    if (delta.summary != nullptr) summary = *delta.summary;
  }
  void End(const absl::Status& s) override { status = s; }

  int writes = 0;
  std::map<uint32_t, std::string> text;
  std::map<uint32_t, std::vector<int32_t>> ids;
  std::map<uint32_t, std::optional<FinishReason>> finish;
  std::optional<RequestSummary> summary;
  std::optional<absl::Status> status;
};

class FakeObserver : public RequestObserver {
 public:
  void OnFirstToken(const RequestStream&, int64_t after_ns) override { ++first_tokens, first_token_after_ns = after_ns; }
  void OnTokens(const TokenArrival& arrival) override { tokens += arrival.tokens, arrivals.push_back(arrival); }
  void OnRequestEnd(const RequestStream&, const RequestOutcome& o) override { outcomes.push_back(o); }
  int first_tokens = 0;
  int64_t first_token_after_ns = 0;
  int64_t tokens = 0;
  std::vector<TokenArrival> arrivals;
  std::vector<RequestOutcome> outcomes;
};

class FakeHost : public SequenceHost {
 public:
  void CancelSequence(uint64_t id) override { cancelled.insert(id); }
  std::set<uint64_t> cancelled;
};

class RequestStreamTest : public testing::Test {
 protected:
  std::unique_ptr<RequestStream> Make(Request request) {
    const StreamSurroundings surroundings{.tokenizer = Tales(), .eos_ids = &eos_ids_, .clock = &clock_, .observer = &observer_};
    auto stream = std::make_unique<RequestStream>(std::move(request), 100, surroundings, &sink_);
    stream->SetHost(host_);
    return stream;
  }
  static Request OfTokens(int32_t max_tokens, int32_t n = 1) {
    Request request;
    request.request_id = "r";
    request.n = n;
    request.prompt_ids = {5, 6};
    request.max_tokens = max_tokens;
    request.deadline_ms = 1000;
    return request;
  }
  static SequenceEvent Tokens(const std::vector<int32_t>& ids, std::optional<EndReason> end = {}) {
    SequenceEvent event;
    for (const int32_t id : ids) event.tokens.push_back({.token_id = id, .logprob = -1, .top = {}});
    if (end) event.end = SequenceEnd{.reason = *end, .failure = absl::OkStatus(), .times = {.steps = 3}};
    return event;
  }
  static std::vector<int32_t> Encode(const std::string& text) { return *Tales()->Encode(text, model::AddedTokens::kPlainText); }

  const std::vector<int32_t> eos_ids_{kEos};
  ManualClock clock_;
  FakeSink sink_;
  FakeObserver observer_;
  std::shared_ptr<FakeHost> host_ = std::make_shared<FakeHost>();
};

TEST_F(RequestStreamTest, TokensBecomeTextAndTheLastMessageSumsUp) {
  auto stream = Make(OfTokens(50));
  const std::vector<int32_t> ids = Encode("Once upon a time");
  for (const int32_t id : ids) {
    clock_.AdvanceNs(1'000'000);
    stream->OnEvent(0, Tokens({id}));
    stream->OnWriteDone(true);
  }
  stream->OnEvent(0, Tokens({kEos}, EndReason::kStop));
  EXPECT_EQ(sink_.text[0], "Once upon a time");
  EXPECT_EQ(sink_.ids[0].size(), ids.size() + 1);  // the end-of-sequence token counts, its text does not
  EXPECT_EQ(sink_.finish[0], FinishReason::kStop);
  ASSERT_TRUE(sink_.summary.has_value());
  EXPECT_EQ(sink_.summary->prompt_tokens, 2);
  EXPECT_EQ(sink_.summary->completion_tokens, static_cast<int64_t>(ids.size()) + 1);
  EXPECT_EQ(sink_.summary->first_token_us, 1000);
  EXPECT_EQ(sink_.summary->stages.steps, 3);
  EXPECT_EQ(observer_.first_tokens, 1);
  EXPECT_EQ(observer_.tokens, static_cast<int64_t>(ids.size()) + 1);
  ASSERT_EQ(observer_.outcomes.size(), 1u);
  EXPECT_TRUE(observer_.outcomes[0].status.ok());
}

TEST_F(RequestStreamTest, TheObserverLearnsWhenTokensCame) {
  auto stream = Make(OfTokens(3, 2));
  const auto after = [&](int64_t ms, int32_t choice, SequenceEvent event) {
    clock_.AdvanceNs(ms * 1'000'000);
    stream->OnEvent(choice, std::move(event));
  };
  after(5, 0, Tokens({7}));
  after(2, 1, Tokens({7}));
  after(3, 0, Tokens({8, 9}, EndReason::kLength));
  after(10, 1, Tokens({kEos}, EndReason::kStop));
  EXPECT_EQ(observer_.first_token_after_ns, 5'000'000);
  ASSERT_EQ(observer_.arrivals.size(), 4u);
  const auto is = [&](int i, int64_t tokens, int64_t after_ms, bool first) {
    const TokenArrival& a = observer_.arrivals[i];
    EXPECT_TRUE(a.tokens == tokens && a.after_ns == after_ms * 1'000'000 && a.first == first) << i << ": " << a.tokens << " after " << a.after_ns;
  };
  is(0, 1, 5, true);
  is(1, 1, 7, true);   // since the request began
  is(2, 2, 5, false);  // since its own sequence's token before
  is(3, 1, 13, false);
  stream->OnWriteDone(true);
  ASSERT_EQ(observer_.outcomes.size(), 1u);
  const RequestOutcome& outcome = observer_.outcomes[0];
  EXPECT_EQ(outcome.sequences, 2);
  EXPECT_EQ(outcome.stopped, 1);
  EXPECT_EQ(outcome.at_length, 1);
  EXPECT_EQ(outcome.first_token_ns, 5'000'000);
  EXPECT_EQ(outcome.total_ns, 20'000'000);
}

TEST_F(RequestStreamTest, AnOutcomeTellsWhichSequencesHadEnded) {
  auto stream = Make(OfTokens(50, 3));
  stream->OnEvent(0, Tokens({kEos}, EndReason::kStop));
  stream->OnEvent(1, Tokens({7}));
  stream->Fail(absl::CancelledError("the client has left"));
  ASSERT_EQ(observer_.outcomes.size(), 1u);
  EXPECT_EQ(observer_.outcomes[0].stopped, 1);
  EXPECT_EQ(observer_.outcomes[0].at_length, 0);
}

TEST_F(RequestStreamTest, ASlowClientGetsFewerAndBiggerMessages) {
  auto stream = Make(OfTokens(100));
  for (int i = 0; i < 99; ++i) stream->OnEvent(0, Tokens({7}));
  EXPECT_EQ(sink_.writes, 1);
  stream->OnWriteDone(true);
  EXPECT_EQ(sink_.writes, 2);
  EXPECT_EQ(sink_.ids[0].size(), 99u);
}

TEST_F(RequestStreamTest, AClientThatNeverReadsEndsAtTheBound) {
  auto stream = Make(OfTokens(1 << 30));
  const int64_t tokens_max = 2 * kPendingBytesMax / sizeof(SampledToken);
  int64_t sent = 0;
  while (observer_.outcomes.empty() && sent < tokens_max) {
    stream->OnEvent(0, Tokens({7}));
    ++sent;
  }
  ASSERT_EQ(observer_.outcomes.size(), 1u);
  EXPECT_EQ(GetErrorInfo(observer_.outcomes[0].status)->reason, "SLOW_CLIENT");
  EXPECT_EQ(host_->cancelled, std::set<uint64_t>{100});
  EXPECT_FALSE(sink_.status.has_value());  // a write is in flight
  stream->OnWriteDone(true);
  EXPECT_EQ(sink_.status->code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(RequestStreamTest, StopStringEndsTheChoiceAndCancelsItsSequence) {
  Request request = OfTokens(50, 2);
  request.stop = {"upon"};
  auto stream = Make(request);
  for (const int32_t id : Encode("Once upon a time")) stream->OnEvent(1, Tokens({id}));
  stream->OnWriteDone(true);
  EXPECT_EQ(sink_.text[1], "Once ");
  EXPECT_EQ(sink_.finish[1], FinishReason::kStop);
  EXPECT_EQ(host_->cancelled, std::set<uint64_t>{101});
  EXPECT_FALSE(sink_.summary.has_value());
  stream->OnWriteDone(true);
  stream->OnEvent(0, Tokens({7}, EndReason::kLength));
  EXPECT_EQ(sink_.finish[0], FinishReason::kLength);
  EXPECT_TRUE(sink_.summary.has_value());
}

TEST_F(RequestStreamTest, TextThatMayBecomeAStopStringIsHeldBackUntilTheEnd) {
  Request request = OfTokens(50);
  request.stop = {"time after time"};
  auto stream = Make(request);
  for (const int32_t id : Encode("Once upon a time")) {
    stream->OnEvent(0, Tokens({id}));
    stream->OnWriteDone(true);
  }
  EXPECT_EQ(sink_.text[0], "Once upon a ");
  stream->OnEvent(0, Tokens({}, EndReason::kLength));
  EXPECT_EQ(sink_.text[0], "Once upon a time");
}

TEST_F(RequestStreamTest, BeforeMinTokensNoStopStringCounts) {
  Request request = OfTokens(50);
  request.stop = {"a"};
  request.min_tokens = static_cast<int32_t>(Encode("a").size());
  auto stream = Make(request);
  for (const int32_t id : Encode("a")) stream->OnEvent(0, Tokens({id}));
  stream->OnWriteDone(true);
  EXPECT_EQ(sink_.text[0], "a");
  EXPECT_FALSE(sink_.finish[0].has_value());
}

TEST_F(RequestStreamTest, StopTokensLeaveNoTextAndIgnoredEndsDoNotEnd) {
  Request request = OfTokens(50);
  request.ignore_eos = true;
  const std::vector<int32_t> ids = Encode("time");
  request.stop_token_ids = {ids.back()};
  auto stream = Make(request);
  stream->OnEvent(0, Tokens({kEos}));
  stream->OnWriteDone(true);
  stream->OnEvent(0, Tokens(ids, EndReason::kStop));
  EXPECT_EQ(sink_.ids[0].size(), ids.size() + 1);
  EXPECT_EQ(sink_.text[0].find("time"), std::string::npos);
}

TEST_F(RequestStreamTest, FailureOfOneChoiceEndsTheRequestAndCancelsTheOthers) {
  auto stream = Make(OfTokens(50, 3));
  SequenceEvent failed;
  failed.end = SequenceEnd{.reason = EndReason::kFailed, .failure = absl::UnavailableError("expert node e1 is lost"), .times = {}};
  stream->OnEvent(2, failed);
  ASSERT_TRUE(sink_.status.has_value());
  EXPECT_EQ(sink_.status->code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(host_->cancelled, (std::set<uint64_t>{100, 101, 102}));
  stream->OnEvent(0, Tokens({7}));  // late
  EXPECT_EQ(sink_.writes, 0);
  EXPECT_EQ(observer_.outcomes.size(), 1u);
}

TEST_F(RequestStreamTest, AClientThatLeavesCancelsItsSequencesOnce) {
  auto stream = Make(OfTokens(50, 2));
  stream->OnEvent(0, Tokens({7}));
  stream->Fail(absl::CancelledError("the client has left"));
  stream->Fail(absl::CancelledError("the client has left"));
  stream->OnWriteDone(false);
  EXPECT_EQ(sink_.status->code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(host_->cancelled, (std::set<uint64_t>{100, 101}));
  EXPECT_EQ(observer_.outcomes.size(), 1u);
}

TEST_F(RequestStreamTest, LeavingBeforeTheHostIsKnownCancelsToo) {
  const StreamSurroundings surroundings{.tokenizer = Tales(), .eos_ids = &eos_ids_, .clock = &clock_, .observer = &observer_};
  RequestStream stream(OfTokens(5), 100, surroundings, &sink_);
  stream.Fail(absl::CancelledError("the client has left"));
  stream.SetHost(host_);
  EXPECT_EQ(host_->cancelled, std::set<uint64_t>{100});
}

TEST_F(RequestStreamTest, MoreTokensThanAskedForIsTheNodesFault) {
  auto stream = Make(OfTokens(2));
  stream->OnEvent(0, Tokens({7, 7, 7}));
  EXPECT_EQ(sink_.status->code(), absl::StatusCode::kInternal);
}

TEST_F(RequestStreamTest, ACancelThatNobodyAskedForIsUnavailable) {
  auto stream = Make(OfTokens(2));
  stream->OnEvent(0, Tokens({}, EndReason::kCancelled));
  EXPECT_EQ(sink_.status->code(), absl::StatusCode::kUnavailable);
}

TEST_F(RequestStreamTest, KnowsItsDeadline) {
  auto stream = Make(OfTokens(2));
  EXPECT_FALSE(stream->PastDeadline(clock_.NowNs() + 999 * 1000000ll));
  EXPECT_TRUE(stream->PastDeadline(clock_.NowNs() + 1000 * 1000000ll));
}

}  // namespace
}  // namespace atoll::router
