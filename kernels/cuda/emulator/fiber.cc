#include "kernels/cuda/emulator/fiber.h"

#include <sys/mman.h>

#include <cstdint>

#include "base/check.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);
extern "C" void AnnotateIgnoreWritesBegin(const char* file, int line);
extern "C" void AnnotateIgnoreWritesEnd(const char* file, int line);
#endif

// Saves what a call must preserve on the current stack, stores its pointer at *save, and goes on where `load` was stored. The control word
// of SSE (denormals) is the thread's and stays.
extern "C" void atoll_switch_stacks(void** save, void* load);
asm(R"(
.text
.type atoll_switch_stacks, @function
atoll_switch_stacks:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size atoll_switch_stacks, . - atoll_switch_stacks
)");

// A fiber reads its own fields after the last order that it can announce.
#define ATOLL_UNSEEN_BY_TSAN __attribute__((no_sanitize_thread))

namespace atoll::kernels::emulated {
namespace {

constexpr size_t kGuardBytes = 4096;
constexpr size_t kStackBytes = 252 * 1024;   // sanitizers need many times what a kernel's frame has

thread_local Fiber* entering = nullptr;

}  // namespace

Fiber::Fiber(Body body, void* argument) : body_(body), argument_(argument) {
  mapping_ = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ATOLL_CHECK(mapping_ != MAP_FAILED && mprotect(mapping_, kGuardBytes, PROT_NONE) == 0, "no memory for the stack of an emulated thread");
  auto* top = reinterpret_cast<uint64_t*>(static_cast<char*>(mapping_) + kGuardBytes + kStackBytes);
  top[-2] = reinterpret_cast<uint64_t>(&Fiber::Enter);   // so aligned as if it had been called
  stack_pointer_ = top - 8;                              // six registers below it, all zero
#ifdef __SANITIZE_THREAD__
  tsan_fiber_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
#ifdef __SANITIZE_THREAD__
  __tsan_destroy_fiber(tsan_fiber_);
#endif
  Unpoison(mapping_, kGuardBytes + kStackBytes);
  munmap(mapping_, kGuardBytes + kStackBytes);
}

ATOLL_UNSEEN_BY_TSAN void Fiber::Resume() {
  entering = this;
#ifdef __SANITIZE_ADDRESS__
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, static_cast<char*>(mapping_) + kGuardBytes, kStackBytes);
#endif
#ifdef __SANITIZE_THREAD__
  tsan_scheduler_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(tsan_fiber_, __tsan_switch_to_fiber_no_sync);
#endif
  atoll_switch_stacks(&scheduler_pointer_, stack_pointer_);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
}

ATOLL_UNSEEN_BY_TSAN void Fiber::Leave() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&fake_stack_, scheduler_bottom_, scheduler_size_);
#endif
#ifdef __SANITIZE_THREAD__
  __tsan_switch_to_fiber(tsan_scheduler_, __tsan_switch_to_fiber_no_sync);
#endif
  atoll_switch_stacks(&stack_pointer_, scheduler_pointer_);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake_stack_, &scheduler_bottom_, &scheduler_size_);
#endif
}

ATOLL_UNSEEN_BY_TSAN void Fiber::Enter() { entering->Loop(); }

ATOLL_UNSEEN_BY_TSAN void Fiber::Loop() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_bottom_, &scheduler_size_);
#endif
  while (true) {
    body_(argument_);
    Leave();
  }
}

#ifdef __SANITIZE_THREAD__
void Release(void* tag) { __tsan_release(tag); }
void Acquire(void* tag) { __tsan_acquire(tag); }
Unseen::Unseen() {
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
}
Unseen::~Unseen() {
  AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}
#else
void Release(void*) {}
void Acquire(void*) {}
Unseen::Unseen() {}
Unseen::~Unseen() {}
#endif

#ifdef __SANITIZE_ADDRESS__
void Poison(const void* from, size_t bytes) { __asan_poison_memory_region(from, bytes); }
void Unpoison(const void* from, size_t bytes) { __asan_unpoison_memory_region(from, bytes); }
#else
void Poison(const void*, size_t) {}
void Unpoison(const void*, size_t) {}
#endif

}  // namespace atoll::kernels::emulated
