#include "base/bounded_queue.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace atoll {
namespace {

using std::chrono::milliseconds;

TEST(BoundedQueue, RefusesWhenFullAndLeavesTheItem) {
  BoundedQueue<std::string> queue(1);
  EXPECT_TRUE(queue.TryPush("first"));
  std::string second = "second";
  EXPECT_FALSE(queue.TryPush(std::move(second)));
  EXPECT_EQ(second, "second");
  EXPECT_EQ(queue.TryPop(), "first");
  EXPECT_TRUE(queue.TryPush(std::move(second)));
}

TEST(BoundedQueue, CloseWakesTheWaiterAndKeepsWhatIsInside) {
  BoundedQueue<int> queue(2);
  EXPECT_TRUE(queue.TryPush(7));
  std::thread closer([&] { queue.Close(); });
  EXPECT_EQ(queue.Pop(milliseconds(1000)), 7);
  EXPECT_EQ(queue.Pop(std::chrono::hours(1)), std::nullopt);
  EXPECT_FALSE(queue.TryPush(8));
  closer.join();
}

}  // namespace
}  // namespace atoll
