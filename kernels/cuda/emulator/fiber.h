#pragma once

// A stack of its own that one OS thread switches to and back: one thread of an emulated block. Known to the address and the thread
// sanitizer; to the latter, two fibers are two threads that nothing orders but the calls made here by who schedules them.

#include <cstddef>

namespace atoll::kernels::emulated {

// Runs `body` again and again: each Resume enters it or goes on after its Leave. Belongs to the thread that first resumes it.
class Fiber {
 public:
  using Body = void (*)(void* argument);
  Fiber(Body body, void* argument);
  ~Fiber();
  Fiber(const Fiber&) = delete;

  // On the scheduler's stack: runs the fiber until it leaves.
  void Resume();
  // On the fiber: back to the Resume that runs it. A body that returns leaves too; the next Resume enters it anew.
  void Leave();

 private:
  [[noreturn]] void Loop();
  [[noreturn]] static void Enter();

  Body body_;
  void* argument_;
  void* mapping_ = nullptr;             // guard page, then the stack
  void* stack_pointer_ = nullptr;       // while it does not run
  void* scheduler_pointer_ = nullptr;   // while it runs
  // The sanitizers' handles; unused in other builds.
  void* fake_stack_ = nullptr;
  const void* scheduler_bottom_ = nullptr;
  size_t scheduler_size_ = 0;
  void* tsan_fiber_ = nullptr;
  void* tsan_scheduler_ = nullptr;
};

// What the thread sanitizer is told, no-ops in other builds. Order: everything before Release(tag) happens before what follows Acquire(tag).
void Release(void* tag);
void Acquire(void* tag);
// The emulator's own bookkeeping, which one OS thread does on many fibers, is not the kernel's: the sanitizer must not see it.
class Unseen {
 public:
  Unseen();
  ~Unseen();
};

// What the address sanitizer is told of `bytes` at `from`, no-ops in other builds.
void Poison(const void* from, size_t bytes);
void Unpoison(const void* from, size_t bytes);

}  // namespace atoll::kernels::emulated
