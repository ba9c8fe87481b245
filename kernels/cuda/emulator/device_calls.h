#pragma once

// What a fiber, as a thread of an emulated block, asks of the emulator. Called on fibers alone.

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/cuda/device_kernel.h"

namespace atoll::kernels::emulated {

struct Site {
  const char* file;
  int line;
};

struct ThreadView {
  Dim3 thread{0, 0, 0};
  Dim3 block{0, 0, 0};
  Dim3 block_dim;
  Dim3 grid_dim;
};
const ThreadView& Current();
int Lane();

void SyncThreads(Site site);
void SyncWarp(unsigned mask, Site site);

// A call that the lanes of `mask` make together. When the last has come, it runs `complete` over all lanes' calls (null: not in the
// mask), which reads their `in` and writes their `out`; then all go on.
struct WarpCall {
  const char* name;
  unsigned mask;
  Site site;
  const void* in;
  void* out;
  void (*complete)(WarpCall* const (&lanes)[32]);
};
void JoinWarp(WarpCall call);

// For a lane's read from a lane that has no call in flight.
[[noreturn]] void LaneNotThere(const WarpCall& call, int lane, int source);

template <typename T>
struct ShuffleIn {
  T value;
  int source;
};

template <typename T>
T Shuffle(unsigned mask, T value, int source, const char* name, Site site) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  const ShuffleIn<T> in{value, source};
  T out{};
  JoinWarp({name, mask, site, &in, &out, [](WarpCall* const (&lanes)[32]) {
              for (int lane = 0; lane < 32; ++lane) {
                if (lanes[lane] == nullptr) continue;
                const int from = static_cast<const ShuffleIn<T>*>(lanes[lane]->in)->source;
                if (from < 0 || from > 31 || lanes[from] == nullptr) LaneNotThere(*lanes[lane], lane, from);
                *static_cast<T*>(lanes[lane]->out) = static_cast<const ShuffleIn<T>*>(lanes[from]->in)->value;
              }
            }});
  return out;
}

// Bit l is the vote of lane l; zero outside the mask.
unsigned Ballot(unsigned mask, bool vote, Site site);

// The block's array of this site, made and filled with 0xFF by the first thread that comes.
void* StaticShared(const void* site, const char* name, size_t bytes);
std::byte* DynamicShared();

void ExpectAligned(const void* address, size_t bytes);

// cp.async (async_copy.h): the bytes at `to` are NaN from the issue until the wait that covers the copy.
void BeginAsyncCopy(void* to, const void* from, size_t bytes, size_t zeros);
void CommitAsyncCopies();
void AwaitAsyncCopies(int groups_left);

// tensor_core.h.
void Mma16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Site site);
void LoadMatrix4(uint32_t (&d)[4], const void* row, bool transposed, Site site);

}  // namespace atoll::kernels::emulated
