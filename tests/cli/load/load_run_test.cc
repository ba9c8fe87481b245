#include "cli/load/load_run.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "cli/load/plan/dataset.h"
#include "cli/load/plan/duration.h"

namespace atoll::load {
namespace {

// Goes on by itself whenever somebody looks.
class TickingClock final : public Clock {
 public:
  explicit TickingClock(int64_t step_ns) : step_ns_(step_ns) {}
  int64_t NowNs() const override { return now_ns_ += step_ns_; }

 private:
  const int64_t step_ns_;
  mutable std::atomic<int64_t> now_ns_{0};
};

// Answers within Start, or never.
class FakeTarget final : public LoadTarget {
 public:
  enum class Mode { kAnswer, kRefuse, kSilent, kDeaf };
  explicit FakeTarget(Mode mode) : mode_(mode) {}

  absl::StatusOr<TargetFacts> Describe() override { return TargetFacts{}; }
  absl::StatusOr<std::vector<int32_t>> Tokenize(const std::string&) override { return std::vector<int32_t>{}; }
  absl::StatusOr<std::vector<std::pair<std::string, int64_t>>> Counters() override { return std::vector<std::pair<std::string, int64_t>>{}; }

  void Start(const LoadCall& call, LoadListener* listener) override {
    listener_ = listener;
    calls.push_back(call);
    if (mode_ == Mode::kRefuse) listener->OnEnd(call.index, {.code = "RESOURCE_EXHAUSTED", .refusal = true});
    if (mode_ != Mode::kAnswer) return;
    for (int64_t i = 0; i < call.max_tokens; ++i)
      if (!listener->OnTokens(call.index, 1)) return listener->OnEnd(call.index, {.code = "CANCELLED"});
    listener->OnEnd(call.index, {.ok = true, .code = "OK", .completion_tokens = call.max_tokens});
  }
  void Cancel(uint64_t index) override {
    if (mode_ != Mode::kDeaf) listener_->OnEnd(index, {.code = "CANCELLED"});
  }

  std::vector<LoadCall> calls;

 private:
  const Mode mode_;
  LoadListener* listener_ = nullptr;
};

struct Rig {
  explicit Rig(FakeTarget::Mode mode, WorkloadOptions options = {}) : target(mode), workload(std::move(options), BuiltinTexts(), {}) {}

  const Statistics& Run(SendSchedule& schedule, const RunLimits& limits, const Clock& clock) {
    run = std::make_unique<LoadRun>(LoadRun::Parts{&target, &schedule, &workload, &faults, &clock}, limits, Slo{},
                                    LoadRun::Events{[this](const RequestRecord& record) { records.push_back(record); }, [](const ProgressState&) {}});
    run->Run(stop);
    return run->statistics();
  }

  FakeTarget target;
  Workload workload;
  FaultRunner faults{{}, kNsPerSecond};
  std::vector<RequestRecord> records;
  std::atomic<bool> stop{false};
  std::unique_ptr<LoadRun> run;
};

TEST(LoadRun, ClosedLoopSendsAsManyAsAsked) {
  Rig rig(FakeTarget::Mode::kAnswer);
  ClosedSchedule schedule({.concurrency = 3});
  const Statistics& s = rig.Run(schedule, {.requests_max = 50}, TickingClock(1000));
  EXPECT_EQ(s.all().of(Outcome::kOk), 50);
  EXPECT_EQ(s.tokens(), 50 * 64);
  EXPECT_EQ(rig.records.size(), 50u);
  EXPECT_EQ(rig.target.calls.size(), 50u);
  EXPECT_GT(s.TokensPerSecond(), 0);
}

TEST(LoadRun, DurationEndsTheSending) {
  Rig rig(FakeTarget::Mode::kAnswer);
  OpenSchedule schedule({.rate = 1000, .burstiness = std::numeric_limits<double>::infinity()});
  const TickingClock clock(10 * 1000);
  const Statistics& s = rig.Run(schedule, {.duration_ns = 50 * kNsPerMs}, clock);
  EXPECT_EQ(s.sent(), 49);  // at 1, 2, ... 49 ms
  EXPECT_EQ(s.all().all(), 49);
}

TEST(LoadRun, RefusedUsersPauseBeforeTheyTryAgain) {
  Rig rig(FakeTarget::Mode::kRefuse);
  ClosedSchedule schedule({.concurrency = 1});
  rig.Run(schedule, {.requests_max = 3}, TickingClock(30 * kNsPerMs));
  ASSERT_EQ(rig.records.size(), 3u);
  for (size_t i = 1; i < 3; ++i) EXPECT_EQ(rig.records[i].intended_ns - rig.records[i - 1].end_ns, 100 * kNsPerMs);
  EXPECT_EQ(rig.records[0].outcome, Outcome::kRefused);
}

TEST(LoadRun, ClientsThatGoAwayAreCancelledAfterTheirTokens) {
  Rig rig(FakeTarget::Mode::kAnswer, {.cancel_share = 1});
  ClosedSchedule schedule({.concurrency = 1});
  const Statistics& s = rig.Run(schedule, {.requests_max = 20}, TickingClock(1000));
  EXPECT_EQ(s.all().of(Outcome::kCancelled), 20);
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(rig.records[i].tokens, rig.target.calls[i].cancel_after_tokens);
}

TEST(LoadRun, ASilentRequestHasHungAndIsGivenUp) {
  Rig rig(FakeTarget::Mode::kSilent);
  ClosedSchedule schedule({.concurrency = 2});
  const Statistics& s = rig.Run(schedule, {.requests_max = 2, .hang_ns = 200 * kNsPerMs}, TickingClock(50 * kNsPerMs));
  EXPECT_EQ(s.all().hung, 2);
  EXPECT_EQ(s.all().of(Outcome::kFailed), 2);
  EXPECT_EQ(rig.records[0].end.reason, "HUNG");
}

TEST(LoadRun, StopCancelsWhatRunsAndReports) {
  Rig rig(FakeTarget::Mode::kSilent);
  ClosedSchedule schedule({.concurrency = 2});
  const SteadyClock clock;
  std::thread user([&] { rig.stop = true; });
  const Statistics& s = rig.Run(schedule, {}, clock);
  user.join();
  EXPECT_EQ(s.all().of(Outcome::kCancelled), s.sent());
  EXPECT_EQ(s.all().hung, 0);
}

TEST(LoadRun, AtMostSoManyInFlightAndTheDelayIsSeen) {
  Rig rig(FakeTarget::Mode::kSilent);
  OpenSchedule schedule({.rate = 100000, .seed = 1});
  const TickingClock clock(50 * kNsPerMs);
  const Statistics& s = rig.Run(schedule, {.requests_max = 20, .in_flight_max = 4, .hang_ns = 10 * kNsPerMs}, clock);
  EXPECT_EQ(s.sent(), 20);
  for (const Interval& interval : s.series.intervals()) EXPECT_LE(interval.in_flight, 4);
  EXPECT_GT(s.send_delay.Max(), 10 * kNsPerMs);
}

TEST(FaultRunner, RunsWhatIsDueAndShowsItsExit) {
  FaultRunner faults({{0, "echo one; echo two >&2; exit 3"}, {0, "kill -9 $$"}, {3600 * kNsPerSecond, "echo never"}}, 30 * kNsPerSecond);
  faults.Poll(0);
  const auto results = faults.Finish(0);
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].exit, "status 3");
  EXPECT_EQ(results[0].output, "one two");
  EXPECT_EQ(results[1].exit, "signal 9");
  EXPECT_EQ(results[2].exit, "not reached");
}

TEST(FaultRunner, EndsWhatRunsTooLong) {
  FaultRunner faults({{0, "sleep 1000"}}, 5 * kNsPerSecond);
  faults.Poll(0);
  faults.Poll(6 * kNsPerSecond);
  EXPECT_EQ(faults.Finish(6 * kNsPerSecond)[0].exit, "ended by force after 5.00 s");
}

}  // namespace
}  // namespace atoll::load
