#include "cli/load/result/statistics.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <queue>

#include "cli/load/plan/duration.h"
#include "cli/load/plan/schedule.h"
#include "cli/load/progress.h"
#include "cli/load/result/report.h"

namespace atoll::load {
namespace {

// A ledger that leads to statistics, as a run wires them.
struct Book {
  explicit Book(const Slo& slo = {}, int64_t warmup_ns = 0) : statistics(slo, warmup_ns) {}

  void Begin(uint64_t index, int64_t intended_ns, int64_t sent_ns) {
    RequestRecord record;
    record.index = index;
    record.intended_ns = intended_ns;
    record.sent_ns = sent_ns;
    record.warmup = intended_ns < statistics.warmup_ns();
    ledger.Begin(record);
    statistics.OnSent(record, ledger.open());
  }
  CallEnd Ok(int64_t tokens) { return {.ok = true, .code = "OK", .prompt_tokens = 3, .completion_tokens = tokens}; }

  Statistics statistics;
  std::vector<RequestRecord> records;
  Ledger ledger{{.on_tokens = [this](int64_t now_ns, int64_t tokens) { statistics.OnTokens(now_ns, tokens); },
                 .on_gap = [this](int64_t gap_ns, const RequestRecord& record) { statistics.OnGap(gap_ns, record); },
                 .on_first = [this](const RequestRecord& record) { statistics.OnFirst(record); },
                 .on_end = [this](const RequestRecord& ended) {
                   records.push_back(ended);
                   statistics.OnEnd(&records.back());
                 }}};
};

TEST(Statistics, FiguresOfOneRequest) {
  Book book;
  book.Begin(0, 1000, 1500);
  for (const int64_t now : {2000, 2100, 2400}) EXPECT_TRUE(book.ledger.Tokens(0, 1, now, nullptr));
  EXPECT_EQ(book.ledger.End(0, book.Ok(3), 2500), Outcome::kOk);
  const Statistics& s = book.statistics;
  EXPECT_EQ(s.ttft.Percentile(50), 1000);
  EXPECT_EQ(s.ttft_from_sent.Percentile(50), 500);
  EXPECT_EQ(s.send_delay.Percentile(50), 500);
  EXPECT_EQ(s.tpot.Percentile(50), 200);
  EXPECT_EQ(s.e2e.Percentile(50), 1500);
  EXPECT_EQ(s.itl.count(), 2);
  EXPECT_EQ(s.itl.Max(), 300);
  EXPECT_EQ(book.records[0].longest_gap_ns, 300);
  EXPECT_EQ(s.all().of(Outcome::kOk), 1);
  EXPECT_EQ(s.tokens(), 3);
  EXPECT_EQ(s.prompt_tokens(), 3);
}

TEST(Statistics, EveryRequestEndsInExactlyOneOutcome) {
  Book book;
  for (uint64_t i = 0; i < 7; ++i) book.Begin(i, 0, 0);
  book.ledger.Tokens(0, 2, 10, nullptr);
  book.ledger.End(0, book.Ok(2), 20);
  book.ledger.End(1, {.code = "RESOURCE_EXHAUSTED", .refusal = true}, 20);
  book.ledger.AskCancel(2, false);
  book.ledger.End(2, {.code = "CANCELLED"}, 20);
  book.ledger.End(3, {.code = "UNAVAILABLE"}, 20);
  book.ledger.Tokens(4, 1, 10, nullptr);
  book.ledger.End(4, {.code = "UNAVAILABLE", .refusal = true}, 20);  // no refusal any more: it had begun to answer
  book.ledger.Tokens(5, 1, 10, nullptr);
  book.ledger.End(5, book.Ok(2), 20);  // one token is missing
  book.ledger.AskCancel(6, true);
  book.ledger.End(6, {.code = "CANCELLED"}, 20);
  const Outcome expected[] = {Outcome::kOk, Outcome::kRefused, Outcome::kCancelled, Outcome::kFailed, Outcome::kFailed, Outcome::kFailed, Outcome::kFailed};
  ASSERT_EQ(book.records.size(), 7u);
  for (size_t i = 0; i < 7; ++i) EXPECT_EQ(book.records[i].outcome, expected[i]) << i;
  EXPECT_EQ(book.records[5].end.reason, "TOKEN_COUNT");
  EXPECT_EQ(book.records[6].end.reason, "HUNG");
  EXPECT_EQ(book.statistics.all().hung, 1);
  EXPECT_EQ(book.statistics.all().all(), 7);
  EXPECT_EQ(book.ledger.open(), 0);
}

TEST(Statistics, ASecondEndAndLateTokensCountForNothing) {
  Book book;
  book.Begin(0, 0, 0);
  EXPECT_TRUE(book.ledger.End(0, book.Ok(0), 5));
  EXPECT_FALSE(book.ledger.End(0, {.code = "UNAVAILABLE"}, 6));
  EXPECT_FALSE(book.ledger.Tokens(0, 1, 7, nullptr));
  EXPECT_FALSE(book.ledger.Tokens(99, 1, 7, nullptr));
  EXPECT_EQ(book.statistics.all().all(), 1);
  EXPECT_EQ(book.statistics.tokens(), 0);
}

TEST(Statistics, SilenceIsSinceTheLastToken) {
  Book book;
  book.Begin(0, 0, 0);
  book.Begin(1, 0, 50);
  book.ledger.Tokens(0, 1, 60, nullptr);
  EXPECT_EQ(book.ledger.SilentSince(55), (std::vector<uint64_t>{1}));
  book.ledger.AskCancel(1, true);
  EXPECT_TRUE(book.ledger.SilentSince(55).empty());
}

TEST(Statistics, WarmupIsInTheLedgerAlone) {
  Book book({}, 100);
  book.Begin(0, 50, 50);
  book.Begin(1, 150, 150);
  for (const uint64_t i : {0, 1}) {
    book.ledger.Tokens(i, 1, 200 + static_cast<int64_t>(i), nullptr);
    book.ledger.End(i, book.Ok(1), 300);
  }
  EXPECT_EQ(book.statistics.all().all(), 2);
  EXPECT_EQ(book.statistics.measured().all(), 1);
  EXPECT_EQ(book.statistics.ttft.count(), 1);
  EXPECT_EQ(book.statistics.ttft.Max(), 51);
}

TEST(Statistics, RatesAndGoodput) {
  Slo slo = Slo::Parse("ttft=500ms,tpot=50ms").value();
  Book book(slo);
  for (uint64_t i = 0; i < 4; ++i) book.Begin(i, 0, 0);
  book.ledger.Tokens(0, 1, 400 * kNsPerMs, nullptr);
  book.ledger.Tokens(0, 10, 800 * kNsPerMs, nullptr);  // 40 ms per token
  book.ledger.End(0, book.Ok(11), kNsPerSecond);
  book.ledger.Tokens(1, 1, 600 * kNsPerMs, nullptr);  // too late
  book.ledger.End(1, book.Ok(1), kNsPerSecond);
  book.statistics.OnSendingOver(kNsPerSecond);
  book.ledger.End(2, {.code = "RESOURCE_EXHAUSTED", .refusal = true}, kNsPerSecond);
  book.ledger.AskCancel(3, false);
  book.ledger.End(3, {.code = "CANCELLED"}, 2 * kNsPerSecond);
  const Statistics& s = book.statistics;
  EXPECT_EQ(s.measured().good, 1);
  EXPECT_DOUBLE_EQ(s.MeasuredSeconds(), 2);
  EXPECT_DOUBLE_EQ(s.TokensPerSecond(), 6);
  EXPECT_DOUBLE_EQ(s.SteadyTokensPerSecond(), 12);
  EXPECT_DOUBLE_EQ(s.GoodPerSecond(), 0.5);
  EXPECT_DOUBLE_EQ(s.GoodShare(), 1.0 / 3);
  EXPECT_DOUBLE_EQ(s.RequestsPerSecond(), 1);
}

TEST(Slo, BoundsHold) {
  RequestRecord record;
  record.outcome = Outcome::kOk;
  record.first_ns = 500 * kNsPerMs;
  record.last_ns = 900 * kNsPerMs;
  record.end_ns = kNsPerSecond;
  record.tokens = 5;
  record.longest_gap_ns = 200 * kNsPerMs;
  EXPECT_TRUE(Slo::Parse("")->Within(record));
  EXPECT_TRUE(Slo::Parse("ttft=500ms,tpot=100ms,itl=200ms,e2e=1s")->Within(record));
  for (const char* text : {"ttft=499ms", "tpot=99ms", "itl=199ms", "e2e=999ms"}) EXPECT_FALSE(Slo::Parse(text)->Within(record)) << text;
  record.outcome = Outcome::kFailed;
  EXPECT_FALSE(Slo::Parse("")->Within(record));
  for (const char* text : {"ttft", "ttft=", "foo=1s", "ttft=1s,ttft=2s", "ttft=5"}) EXPECT_FALSE(Slo::Parse(text).ok()) << text;
}

// One client, one request at a time, against a server that needs 10 ms and stalls from second 1 to second 3.
struct Stall {
  static constexpr int64_t kServiceNs = 10 * kNsPerMs;
  static int64_t AnswerAt(int64_t sent_ns) {
    const int64_t done_ns = sent_ns + kServiceNs;
    return done_ns > kNsPerSecond && sent_ns < 3 * kNsPerSecond ? 3 * kNsPerSecond + kServiceNs : done_ns;
  }
};

TEST(CoordinatedOmission, AStalledServerShowsInEveryRequestThatItKeptWaiting) {
  Book book;
  OpenSchedule schedule({.rate = 50, .seed = 2});
  int64_t now_ns = 0;
  for (uint64_t i = 0; *schedule.NextNs() < 6 * kNsPerSecond; ++i) {
    const int64_t intended_ns = *schedule.NextNs();
    schedule.Take();
    now_ns = std::max(now_ns, intended_ns);
    book.Begin(i, intended_ns, now_ns);
    now_ns = Stall::AnswerAt(now_ns);
    book.ledger.Tokens(i, 1, now_ns, nullptr);
    book.ledger.End(i, book.Ok(1), now_ns);
  }
  const Statistics& s = book.statistics;
  // From the sending only one request was slow; from when they were meant to be sent, a third of them waited.
  EXPECT_LT(s.ttft_from_sent.Percentile(99), 11e6);
  EXPECT_GT(s.ttft.Percentile(75), 100e6);
  EXPECT_GT(s.ttft.Percentile(99), 1.8e9);
  EXPECT_GT(s.send_delay.Percentile(90), 1e9);
}

Report MakeReport(const Statistics& statistics) {
  RunFacts facts;
  facts.command_line = "atoll load </script><b>";
  facts.arrivals = "closed loop of 2 users";
  FaultResult fault;
  fault.command = "kill -9 1";
  fault.exit = "status 0";
  return Report{statistics, facts, {fault}, {{"tokens_total", 5, 16}}};
}

TEST(Report, JsonTextAndPageOfARun) {
  Book book(Slo::Parse("ttft=1s").value());
  book.Begin(0, 0, 0);
  book.ledger.Tokens(0, 1, kNsPerMs, nullptr);
  book.ledger.Tokens(0, 1, 3 * kNsPerMs, nullptr);
  book.ledger.End(0, book.Ok(2), 4 * kNsPerMs);
  const Report report = MakeReport(book.statistics);
  const std::string json = ReportJson(report);
  const auto read = nlohmann::json::parse(json);
  EXPECT_EQ(read["requests"]["ok"], 1);
  EXPECT_EQ(read["requests"]["hung"], 0);
  EXPECT_EQ(read["latency_ms"]["ttft"]["p99"], 1.0);
  EXPECT_EQ(read["latency_ms"]["itl"]["max"], 2.0);
  EXPECT_EQ(read["goodput"]["slo"]["ttft_ms"], 1000.0);
  EXPECT_EQ(read["server"]["tokens_total"]["change"], 11);
  EXPECT_EQ(read["series"]["tokens"][0], 2);
  EXPECT_NE(ReportText(report).find("1 sent: 1 ok, 0 refused, 0 cancelled, 0 failed; 0 hung"), std::string::npos);

  const std::string page = ReportHtml(json);
  EXPECT_EQ(page.find("</script><b>"), std::string::npos);
  EXPECT_NE(page.find("AtollPlots"), std::string::npos);
  EXPECT_EQ(page.find("@PLOTS@"), std::string::npos);
  EXPECT_EQ(page.find("src="), std::string::npos);
  EXPECT_EQ(page.find("url("), std::string::npos);
}

TEST(Report, EmptyRunHasNoNonsense) {
  Book book;
  const Report report{book.statistics, {}, {}, {}};
  EXPECT_EQ(nlohmann::json::parse(ReportJson(report))["rates"]["tokens_per_s"], 0.0);
  EXPECT_EQ(ReportText(report).find("nan"), std::string::npos);
}

TEST(Report, LedgerLineIsJson) {
  RequestRecord record;
  record.request_id = "x";
  record.end.message = "bad \xff byte\n";
  const auto line = nlohmann::json::parse(LedgerLine(record));
  EXPECT_EQ(line["outcome"], "failed");
  EXPECT_TRUE(line["ttft_ms"].is_null());
  EXPECT_EQ(LedgerLine(record).find('\n'), std::string::npos);
}

TEST(Progress, LineKeepsItsWidth) {
  ProgressState state{.now_ns = 12 * kNsPerSecond, .share_done = 0.4, .sent = 100, .in_flight = 3, .tokens_per_second = 812, .ttft_p50_ns = 12e6, .ttft_p99_ns = 40e6};
  state.tally.ended = {90, 2, 0, 5};
  const std::string line = ProgressLine(state, 200, false);
  EXPECT_EQ(line, "[========            ] 12 s  sent 100  ok 90  in flight 3  refused 2  failed 5  812 tok/s  TTFT 12.0 ms p99 40.0 ms");
  EXPECT_EQ(ProgressLine(state, 30, true), line.substr(0, 30));
  EXPECT_NE(ProgressLine(state, 200, true).find("\033[31m  failed 5\033[0m"), std::string::npos);
}

TEST(Progress, RateIsOfTheLastSecond) {
  RateMeter meter;
  EXPECT_EQ(meter.Rate(kNsPerSecond / 2, 50), 0);
  EXPECT_EQ(meter.Rate(kNsPerSecond, 100), 100);
  EXPECT_EQ(meter.Rate(2 * kNsPerSecond, 400), 300);
}

}  // namespace
}  // namespace atoll::load
