#include "cli/load/load_run.h"

#include <algorithm>

#include "cli/load/plan/duration.h"

namespace atoll::load {
namespace {

constexpr int64_t kTickNs = 100 * kNsPerMs;
// A user of a closed loop that was refused or failed waits so long before the next try, as a person would.
constexpr int64_t kPauseAfterRefusalNs = 100 * kNsPerMs;
constexpr int kBurstMax = 256;  // requests sent before anything else is looked at
constexpr int64_t kCancelNs = 5 * kNsPerSecond;  // for a cancelled call to end

}  // namespace

LoadRun::LoadRun(const Parts& parts, const RunLimits& limits, const Slo& slo, Events events)
    : parts_(parts), limits_(limits), events_(std::move(events)), start_ns_(parts.clock->NowNs()), statistics_(slo, limits.warmup_ns),
      ledger_({.on_tokens = [this](int64_t now_ns, int64_t tokens) { statistics_.OnTokens(now_ns, tokens); },
               .on_gap = [this](int64_t gap_ns, const RequestRecord& record) { statistics_.OnGap(gap_ns, record); },
               .on_first = [this](const RequestRecord& record) { statistics_.OnFirst(record); },
               .on_end = [this](const RequestRecord& ended) {
                 RequestRecord record = ended;
                 statistics_.OnEnd(&record);
                 events_.on_record(record);
               }}) {}

void LoadRun::Run(const std::atomic<bool>& stop) {
  Lock lock(mutex_);
  while (!stop) {
    SendDue(lock);
    if (sending_over_ && ledger_.open() == 0) break;
    if (NowNs() >= next_tick_ns_) Tick(lock);
    parts_.faults->Poll(NowNs());
    Wait(lock);
  }
  CancelRest(lock);
  statistics_.OnSendingOver(NowNs());
  wall_ns_ = NowNs();
}

void LoadRun::Tick(Lock& lock) {
  GiveUp(lock, ledger_.SilentSince(NowNs() - limits_.hang_ns), true);
  const ProgressState progress = Progress(NowNs());
  lock.unlock();
  events_.on_progress(progress);
  lock.lock();
  next_tick_ns_ = NowNs() + kTickNs;
}

bool LoadRun::SendingOver(int64_t now_ns) {
  const std::optional<int64_t> next_ns = parts_.schedule->NextNs();
  if (now_ns >= limits_.duration_ns) statistics_.OnSendingOver(now_ns);
  sending_over_ = sent_ >= limits_.requests_max || (next_ns ? *next_ns >= limits_.duration_ns : ledger_.open() == 0);
  if (sending_over_) statistics_.OnSendingOver(now_ns);
  return sending_over_;
}

void LoadRun::SendDue(Lock& lock) {
  for (int burst = 0; burst < kBurstMax && !SendingOver(NowNs()) && ledger_.open() < limits_.in_flight_max; ++burst) {
    const std::optional<int64_t> intended_ns = parts_.schedule->NextNs();
    if (!intended_ns || *intended_ns > NowNs()) return;
    parts_.schedule->Take();
    const auto index = static_cast<uint64_t>(sent_++);
    lock.unlock();
    const LoadCall call = parts_.workload->Call(index);
    lock.lock();
    RequestRecord record;
    record.index = index;
    record.request_id = call.request_id;
    record.intended_ns = *intended_ns;
    record.sent_ns = NowNs();
    record.warmup = *intended_ns < limits_.warmup_ns;
    ledger_.Begin(record);
    if (call.cancel_after_tokens > 0) cancel_after_[index] = call.cancel_after_tokens;
    statistics_.OnSent(record, ledger_.open());
    lock.unlock();
    parts_.target->Start(call, this);
    lock.lock();
  }
}

void LoadRun::GiveUp(Lock& lock, const std::vector<uint64_t>& indices, bool hung) {
  if (indices.empty()) return;
  for (const uint64_t index : indices) ledger_.AskCancel(index, hung);
  lock.unlock();
  for (const uint64_t index : indices) parts_.target->Cancel(index);
  lock.lock();
}

// Whoever has not ended some seconds after it was cancelled has hung: the ledger closes it all the same.
void LoadRun::CancelRest(Lock& lock) {
  GiveUp(lock, ledger_.OpenIndices(), false);
  const auto longest = std::chrono::nanoseconds(kCancelNs);
  changed_.wait_for(lock, longest, [&] { return ledger_.open() == 0; });
  for (const uint64_t index : ledger_.OpenIndices()) {
    ledger_.AskCancel(index, true);
    ledger_.End(index, {.ok = false, .code = "CANCELLED", .reason = "HUNG", .message = "did not end after it was cancelled"}, NowNs());
  }
}

void LoadRun::Wait(Lock& lock) {
  const int64_t now_ns = NowNs();
  int64_t wake_ns = std::min(now_ns + kTickNs, parts_.faults->NextPollNs(now_ns));
  // What is never to be sent must not keep this thread awake, with the lock in its hands.
  if (!sending_over_ && ledger_.open() < limits_.in_flight_max) wake_ns = std::min(wake_ns, parts_.schedule->NextNs().value_or(wake_ns));
  if (wake_ns > now_ns) changed_.wait_for(lock, std::chrono::nanoseconds(wake_ns - now_ns));
}

ProgressState LoadRun::Progress(int64_t now_ns) {
  ProgressState state{.now_ns = now_ns, .sent = sent_, .in_flight = ledger_.open(), .tally = statistics_.all()};
  state.share_done = std::max(static_cast<double>(state.tally.all()) / static_cast<double>(limits_.requests_max),
                              static_cast<double>(now_ns) / static_cast<double>(limits_.duration_ns));
  state.tokens_per_second = token_rate_.Rate(now_ns, statistics_.tokens());
  state.ttft_p50_ns = statistics_.ttft.Percentile(50);
  state.ttft_p99_ns = statistics_.ttft.Percentile(99);
  state.itl_p50_ns = statistics_.itl.Percentile(50);
  state.itl_p99_ns = statistics_.itl.Percentile(99);
  return state;
}

bool LoadRun::OnTokens(uint64_t index, int64_t tokens) {
  const std::lock_guard lock(mutex_);
  int64_t received = 0;
  if (!ledger_.Tokens(index, tokens, NowNs(), &received)) return false;
  if (cancel_after_.empty()) return true;
  const auto limit = cancel_after_.find(index);
  if (limit == cancel_after_.end() || received < limit->second) return true;
  cancel_after_.erase(limit);
  ledger_.AskCancel(index, false);
  return false;
}

void LoadRun::OnEnd(uint64_t index, const CallEnd& end) {
  const std::lock_guard lock(mutex_);
  const int64_t now_ns = NowNs();
  cancel_after_.erase(index);
  const std::optional<Outcome> outcome = ledger_.End(index, end, now_ns);
  if (!outcome) return;
  const bool unserved = *outcome == Outcome::kRefused || *outcome == Outcome::kFailed;
  parts_.schedule->OnEnd(now_ns + (unserved ? kPauseAfterRefusalNs : 0));
  changed_.notify_one();
}

}  // namespace atoll::load
