#include "kernels/cuda/emulator/device_calls.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "kernels/cuda/emulator/block_runner.h"

namespace atoll::kernels::emulated {
namespace {

void Copy(const BlockThread::AsyncCopy& copy) {
  if (copy.bytes > 0) std::memcpy(copy.to, copy.from, copy.bytes);
  std::memset(static_cast<std::byte*>(copy.to) + copy.bytes, 0, copy.zeros);
}

}  // namespace

const ThreadView& Current() { return BlockRunner::Running().view; }
int Lane() { return static_cast<int>(BlockRunner::Running().index % 32); }

void SyncThreads(Site site) {
  BlockRunner* runner = BlockRunner::Running().runner;
  Release(runner->BlockTag());
  {
    Unseen unseen;
    runner->Await(BlockThread::State::kAtBarrier, site);
  }
  Acquire(runner->BlockTag());
}

void JoinWarp(WarpCall call) {
  BlockThread& thread = BlockRunner::Running();
  Release(thread.runner->WarpTag(thread));
  {
    Unseen unseen;
    thread.call = call;
    thread.runner->Await(BlockThread::State::kInWarpCall, call.site);
  }
  Acquire(thread.runner->WarpTag(thread));
}

void SyncWarp(unsigned mask, Site site) { JoinWarp({"__syncwarp", mask, site, nullptr, nullptr, nullptr}); }

unsigned Ballot(unsigned mask, bool vote, Site site) {
  unsigned votes = 0;
  JoinWarp({"__ballot_sync", mask, site, &vote, &votes, [](WarpCall* const (&lanes)[32]) {
              unsigned all = 0;
              for (int lane = 0; lane < 32; ++lane) {
                if (lanes[lane] != nullptr && *static_cast<const bool*>(lanes[lane]->in)) all |= 1u << lane;
              }
              for (WarpCall* lane : lanes) {
                if (lane != nullptr) *static_cast<unsigned*>(lane->out) = all;
              }
            }});
  return votes;
}

void LaneNotThere(const WarpCall& call, int lane, int source) {
  const BlockThread& thread = BlockRunner::Running();
  thread.runner->Fail(thread, call.site, std::string(call.name) + ": lane " + std::to_string(lane) + " reads lane " + std::to_string(source) +
                                             ", which is not in the mask");
}

void* StaticShared(const void* site, const char* name, size_t bytes) {
  Unseen unseen;
  const BlockThread& thread = BlockRunner::Running();
  void* array = thread.runner->shared().Static(site, name, bytes);
  if (array == nullptr) {
    thread.runner->Fail(thread, {}, std::string("shared memory: no room for ") + name + " of " + std::to_string(bytes) + " bytes; a block has " +
                                        std::to_string(kStaticSharedBytes) + " static, " + std::to_string(kBlockSharedBytes) + " in all");
  }
  return array;
}

std::byte* DynamicShared() { return BlockRunner::Running().runner->shared().Dynamic(); }

void ExpectAligned(const void* address, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(address) % bytes == 0) return;
  const BlockThread& thread = BlockRunner::Running();
  thread.runner->Fail(thread, {}, "an access of " + std::to_string(bytes) + " bytes is not aligned");
}

void BeginAsyncCopy(void* to, const void* from, size_t bytes, size_t zeros) {
  ExpectAligned(to, 16);
  ExpectAligned(from, bytes == 0 ? 1 : 16);
  BlockThread& thread = BlockRunner::Running();
  if (!thread.runner->shared().Holds(to, bytes + zeros)) thread.runner->Fail(thread, {}, "cp.async: the destination is not in shared memory");
  std::memset(to, 0xFF, bytes + zeros);
  thread.copies.push_back({to, from, bytes, zeros, thread.group});
}

void CommitAsyncCopies() { ++BlockRunner::Running().group; }

void AwaitAsyncCopies(int groups_left) {
  BlockThread& thread = BlockRunner::Running();
  const auto arrived = [&](const BlockThread::AsyncCopy& copy) { return copy.group < thread.group - groups_left; };
  const auto rest = std::stable_partition(thread.copies.begin(), thread.copies.end(), arrived);
  std::for_each(thread.copies.begin(), rest, Copy);
  thread.copies.erase(thread.copies.begin(), rest);
}

}  // namespace atoll::kernels::emulated
