#include "node/process.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

namespace atoll::node {
namespace {

using namespace std::chrono_literals;

TEST(StopSignalTest, WaitsForARequestWithItsReason) {
  StopSignal stop;
  EXPECT_FALSE(stop.Wait(0ms));
  std::thread other([&] { stop.Request(absl::FailedPreconditionError("refused")); });
  EXPECT_TRUE(stop.Wait(10'000ms));
  other.join();
  stop.Request(absl::InternalError("later"));
  EXPECT_EQ(stop.reason().message(), "refused");
  EXPECT_TRUE(stop.Wait(0ms));
}

// To this thread: a signal to the process might find a thread of an earlier test that does not block it.
TEST(StopSignalTest, SeesSignals) {
  StopSignal stop;
  ASSERT_EQ(pthread_kill(pthread_self(), SIGTERM), 0);
  EXPECT_TRUE(stop.Wait(10'000ms));
  EXPECT_TRUE(stop.reason().ok());
}

TEST(ProcessTest, IncarnationsGrow) {
  const uint64_t first = NewIncarnation();
  EXPECT_LT(first, NewIncarnation());
}

TEST(ProcessTest, WhatAConfigurationCuresExits78) {
  EXPECT_EQ(ExitStatusOf(absl::OkStatus()), 0);
  EXPECT_EQ(ExitStatusOf(absl::InvalidArgumentError("no such model")), kExitConfiguration);
  EXPECT_EQ(ExitStatusOf(absl::UnavailableError("port in use")), 1);
}

TEST(ProcessTest, KnowsItsHostAndMemory) {
  EXPECT_FALSE(HostName().empty());
  EXPECT_GT(AvailableMemoryBytes(), 1u << 20);
}

}  // namespace
}  // namespace atoll::node
