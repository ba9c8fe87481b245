#include "kernels/cuda/emulator/work_thread.h"

#include <utility>

namespace atoll::kernels::emulated {

WorkThread::WorkThread() : last_(new Item), thread_([this, first = last_] { Run(first); }) {}

WorkThread::~WorkThread() {
  Push({});
  thread_.join();
}

void WorkThread::Push(std::function<void()> work) {
  auto* item = new Item{std::move(work), nullptr};
  last_->next = item;
  last_ = item;
  pushed_.RaiseTo(++pushed_count_);
}

// `item` was done, or is the empty one at the beginning.
void WorkThread::Run(Item* item) {
  for (uint32_t number = 1;; ++number) {
    pushed_.AwaitAtLeast(number);
    Item* next = item->next;
    delete item;
    item = next;
    if (!item->work) break;
    item->work();
    item->work = nullptr;
    done_.RaiseTo(number);
  }
  delete item;
}

}  // namespace atoll::kernels::emulated
