#include "attention_node/batching/page_pool.h"

#include <algorithm>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace atoll::attention_node {
namespace {

TEST(PagePool, GivesEachPageOnceAndTakesItBack) {
  PagePool pool(5);
  std::vector<PageId> first, second;
  ASSERT_TRUE(pool.Allocate(3, first));
  EXPECT_EQ(pool.free_count(), 2);
  EXPECT_FALSE(pool.Allocate(3, second));
  EXPECT_TRUE(second.empty());
  EXPECT_EQ(pool.free_count(), 2);
  ASSERT_TRUE(pool.Allocate(2, second));
  std::set<PageId> all(first.begin(), first.end());
  all.insert(second.begin(), second.end());
  EXPECT_EQ(all.size(), 5u);
  pool.Free(first);
  EXPECT_TRUE(first.empty());
  EXPECT_EQ(pool.free_count(), 3);
}

TEST(PagePool, PagesForRoundsUp) {
  EXPECT_EQ(PagesFor(0), 0);
  EXPECT_EQ(PagesFor(1), 1);
  EXPECT_EQ(PagesFor(64), 1);
  EXPECT_EQ(PagesFor(65), 2);
}

TEST(PagePool, AccountingIsExactOverRandomTraffic) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  PagePool pool(50);
  std::vector<std::vector<PageId>> holders(10);
  for (int i = 0; i < 2000; ++i) {
    std::vector<PageId>& holder = holders[random() % holders.size()];
    const int32_t before = pool.free_count();
    const int32_t count = static_cast<int32_t>(random() % 9);
    if (random() % 2 == 0) {
      const bool fits = count <= before;
      ASSERT_EQ(pool.Allocate(count, holder), fits);
      ASSERT_EQ(pool.free_count(), fits ? before - count : before);
    } else {
      const int32_t held = static_cast<int32_t>(holder.size());
      pool.Free(holder);
      ASSERT_EQ(pool.free_count(), before + held);
    }
  }
  std::set<PageId> held;
  size_t total = 0;
  for (const auto& holder : holders) held.insert(holder.begin(), holder.end()), total += holder.size();
  EXPECT_EQ(held.size(), total);
  EXPECT_EQ(pool.free_count() + static_cast<int32_t>(total), pool.page_count());
}

TEST(PagePoolDeathTest, FreeingWhatIsNotHeldIsABrokenInvariant) {
  PagePool pool(3);
  std::vector<PageId> pages = {1};
  EXPECT_DEATH(pool.Free(pages), "page 1 is not held");
}

}  // namespace
}  // namespace atoll::attention_node
