#include "kernels/cuda/emulator/block_runner.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "kernels/cpu/flush_denormals.h"

namespace atoll::kernels::emulated {
namespace {

thread_local BlockThread* running = nullptr;

std::string Text(Dim3 at) { return "(" + std::to_string(at.x) + ", " + std::to_string(at.y) + ", " + std::to_string(at.z) + ")"; }
std::string Text(Site site) { return std::string(site.file) + ":" + std::to_string(site.line); }

uint64_t Blocks(Dim3 grid) { return uint64_t{grid.x} * grid.y * grid.z; }
Dim3 At(uint64_t index, Dim3 extent) {
  return {static_cast<uint32_t>(index % extent.x), static_cast<uint32_t>(index / extent.x % extent.y),
          static_cast<uint32_t>(index / extent.x / extent.y)};
}

}  // namespace

BlockThread::BlockThread(BlockRunner* owner, uint32_t number)
    : runner(owner), index(number), fiber([](void* thread) {
        auto* self = static_cast<BlockThread*>(thread);
        self->runner->RunThread(*self);
      }, this) {}

BlockThread& BlockRunner::Running() {
  if (running == nullptr) {
    std::fprintf(stderr, "emulator: a call that only a kernel may make was made outside of one\n");
    std::abort();
  }
  return *running;
}

void BlockRunner::RunGrid(const KernelImage& kernel, const LaunchShape& shape, const void* params, uint64_t schedule, uint64_t turn) {
  FlushDenormals flush;
  {
    Unseen unseen;
    kernel_ = &kernel;
    params_ = params;
    shape_ = shape;
    threads_count_ = static_cast<uint32_t>(Blocks(shape.block));
    while (threads_.size() < threads_count_) threads_.push_back(std::make_unique<BlockThread>(this, static_cast<uint32_t>(threads_.size())));
  }
  Schedule order(schedule, turn);
  std::vector<uint64_t> blocks(Blocks(shape.grid));
  for (uint64_t block = 0; block < blocks.size(); ++block) blocks[block] = block;
  for (size_t front = 0; front < blocks.size();) RunBlock(At(order.Take(blocks, &front), shape.grid), order);
}

// On the thread's fiber.
void BlockRunner::RunThread(BlockThread& thread) {
  Acquire(&launch_tag_);
  kernel_->emulated(params_);
  {
    Unseen unseen;
    if (!thread.copies.empty()) Fail(thread, {}, "it returned with copies by cp.async that it has not awaited");
    thread.state = BlockThread::State::kReturned;
  }
  Release(&return_tag_);
}

void BlockRunner::Prepare(Dim3 block) {
  shared_.Reset(static_cast<size_t>(shape_.shared_bytes));
  at_barrier_ = returned_ = 0;
  std::fill(std::begin(waiting_in_warp_), std::end(waiting_in_warp_), 0);
  ready_.clear();
  ready_front_ = 0;
  for (uint32_t i = 0; i < threads_count_; ++i) {
    BlockThread& thread = *threads_[i];
    thread.view = {.thread = At(i, shape_.block), .block = block, .block_dim = shape_.block, .grid_dim = shape_.grid};
    thread.group = 0;
    MakeReady(thread);
  }
}

void BlockRunner::RunBlock(Dim3 block, Schedule& order) {
  Unseen unseen;
  Prepare(block);
  Release(&launch_tag_);
  while (ready_front_ < ready_.size()) {
    Advance(*threads_[order.Take(ready_, &ready_front_)]);
    if (ready_front_ > 8 * kBlockThreads) {
      ready_.erase(ready_.begin(), ready_.begin() + static_cast<ptrdiff_t>(ready_front_));
      ready_front_ = 0;
    }
  }
  if (returned_ < threads_count_) FailStuck();
  Acquire(&return_tag_);
  if (const char* name = shared_.Overrun(); name != nullptr) Fail(*threads_[0], {}, std::string("a thread wrote beyond the end of ") + name);
}

void BlockRunner::Advance(BlockThread& thread) {
  running = &thread;   // also while what it called is completed here
  thread.fiber.Resume();
  switch (thread.state) {
    case BlockThread::State::kRuns: break;
    case BlockThread::State::kReturned: ++returned_; break;
    case BlockThread::State::kAtBarrier: Arrive(); break;
    case BlockThread::State::kInWarpCall: JoinWarp(thread); break;
  }
  running = nullptr;
}

void BlockRunner::MakeReady(BlockThread& thread) {
  thread.state = BlockThread::State::kRuns;
  ready_.push_back(thread.index);
}

void BlockRunner::Await(BlockThread::State state, Site site) {
  BlockThread& thread = *running;
  thread.state = state;
  thread.site = site;
  thread.fiber.Leave();
}

void BlockRunner::Arrive() {
  if (++at_barrier_ < threads_count_) return;
  const BlockThread& first = *threads_[0];
  for (uint32_t i = 1; i < threads_count_; ++i) {
    if (threads_[i]->site.line == first.site.line && std::string_view(threads_[i]->site.file) == first.site.file) continue;
    Fail(*threads_[i], threads_[i]->site, "divergent barrier: thread (0, 0, 0) waits in the __syncthreads of " + Text(first.site));
  }
  ReleaseBarrier();
}

void BlockRunner::ReleaseBarrier() {
  at_barrier_ = 0;
  ready_.clear();
  ready_front_ = 0;
  for (uint32_t i = 0; i < threads_count_; ++i) MakeReady(*threads_[i]);
}

// Completes the call when all lanes of its mask are in one with the same name, mask and line.
void BlockRunner::JoinWarp(BlockThread& thread) {
  const uint32_t first = thread.index / 32 * 32;
  if ((thread.call.mask >> (thread.index % 32) & 1) == 0) Fail(thread, thread.site, std::string(thread.call.name) + ": the mask lacks the calling lane");
  uint32_t& waiting = waiting_in_warp_[thread.index / 32];
  if (++waiting < static_cast<uint32_t>(std::popcount(thread.call.mask)) && waiting < LanesOfWarp(thread.index / 32)) return;
  WarpCall* lanes[32] = {};
  for (uint32_t lane = 0; lane < 32; ++lane) {
    if ((thread.call.mask >> lane & 1) == 0) continue;
    if (first + lane >= threads_count_) Fail(thread, thread.site, std::string(thread.call.name) + ": the mask names lane " + std::to_string(lane) + ", which the block has not");
    BlockThread& other = *threads_[first + lane];
    const bool here = other.state == BlockThread::State::kInWarpCall && other.call.mask == thread.call.mask &&
                      other.site.line == thread.site.line && other.call.name == thread.call.name;   // one literal: a kernel is one file
    if (!here) return;
    lanes[lane] = &other.call;
  }
  waiting -= static_cast<uint32_t>(std::popcount(thread.call.mask));
  if (thread.call.complete != nullptr) thread.call.complete(lanes);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    if (lanes[lane] != nullptr) MakeReady(*threads_[first + lane]);
  }
}

void BlockRunner::Fail(const BlockThread& thread, Site site, const std::string& text) const {
  std::fprintf(stderr, "emulator: kernel %s, block %s, thread %s%s%s: %s\n", kernel_->name, Text(thread.view.block).c_str(),
               Text(thread.view.thread).c_str(), site.file == nullptr ? "" : ", ", site.file == nullptr ? "" : Text(site).c_str(), text.c_str());
  std::abort();
}

void BlockRunner::FailStuck() const {
  uint32_t in_warp_calls = 0;
  const BlockThread* waits = nullptr;
  for (uint32_t i = 0; i < threads_count_; ++i) {
    const auto state = threads_[i]->state;
    in_warp_calls += state == BlockThread::State::kInWarpCall;
    if (state == BlockThread::State::kReturned) continue;
    // A lane that waits for others of its warp says more than a thread at a barrier.
    if (waits == nullptr || (state == BlockThread::State::kInWarpCall && waits->state != state)) waits = threads_[i].get();
  }
  const bool barrier = waits->state == BlockThread::State::kAtBarrier;
  Fail(*waits, waits->site,
       std::string("divergent ") + (barrier ? "barrier" : waits->call.name) + ": it waits for ever; of " + std::to_string(threads_count_) + " threads " +
           std::to_string(at_barrier_) + " are at a __syncthreads, " + std::to_string(in_warp_calls) + " in a warp call, " + std::to_string(returned_) +
           " have returned");
}

}  // namespace atoll::kernels::emulated
