// The runtime's contract, as the emulator keeps it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "kernels/cuda/probe_cuda.h"
#include "tests/kernels/cuda/device_testing.h"
#include "tests/kernels/cuda/trial_cuda.h"

namespace atoll::kernels::testing {
namespace {

using ::testing::HasSubstr;

class RuntimeDeathTest : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST(RuntimeTest, DeviceNames) {
  DeviceName name;
  EXPECT_TRUE(ParseDevice("cuda:3", &name).ok());
  EXPECT_EQ(name.kind, DeviceKind::kCuda);
  EXPECT_EQ(name.index, 3);
  EXPECT_TRUE(ParseDevice("emulated:0", &name).ok());
  EXPECT_EQ(name.kind, DeviceKind::kEmulated);
  EXPECT_TRUE(ParseDevice("cpu", &name).ok());
  EXPECT_EQ(name.kind, DeviceKind::kCpu);
  EXPECT_TRUE(ParseDevice("auto", &name).ok());
  for (const char* wrong : {"", "gpu", "cuda", "cuda:", "cuda:x", "cuda:-1", "cuda:1 ", "cuda:99999999999", "cpu:0", "emulated"}) {
    EXPECT_THAT(ParseDevice(wrong, &name).text, HasSubstr("use auto, cpu, cuda:N or emulated:N")) << wrong;
  }
}

TEST(RuntimeTest, ADeviceThatIsNotThereIsOneSentence) {
  std::unique_ptr<Device> device;
  EXPECT_EQ(OpenDevice({.kind = DeviceKind::kEmulated, .index = 8}, &device).text, "device emulated:8 is not there: there are 8, emulated:0 to emulated:7");
  const KernelError cuda = OpenDevice({.kind = DeviceKind::kCuda, .index = 77}, &device);
  EXPECT_FALSE(cuda.ok());
  EXPECT_THAT(cuda.text, HasSubstr("device cuda:77"));
  EXPECT_EQ(cuda.text.find('\n'), std::string::npos);
  EXPECT_FALSE(OpenDevice({}, &device).ok());
}

TEST(RuntimeTest, CopiesAndFills) {
  TestDevice device;
  std::vector<int> values(1000);
  std::iota(values.begin(), values.end(), 0);
  const DeviceBuffer first = device.Upload(values), second = device.Empty<int>(1000);
  EXPECT_EQ(device.Download<int>(second)[17], -1);   // poisoned
  TestDevice::Need(device.stream().CopyOnDevice(second.data(), first.data(), 4000));
  TestDevice::Need(device.stream().Fill(second.data() + 8, 0, 4));
  values[2] = 0;
  EXPECT_EQ(device.Download<int>(second), values);
}

TEST(RuntimeTest, AHostAddressIsNoDeviceAddress) {
  TestDevice device;
  const DeviceBuffer buffer = device.Empty<float>(8);
  float host[8];
  DevicePtr<float> pointer;
  EXPECT_THAT(device.stream().Reach("RmsNorm's x", host, 8, &pointer).text, HasSubstr("RmsNorm's x: its 32 bytes do not lie in one buffer of emulated:0"));
  EXPECT_FALSE(device.stream().Reach("x", buffer.As<float>(), 9, &pointer).ok());
  EXPECT_TRUE(device.stream().Reach("x", buffer.As<float>() + 4, 4, &pointer).ok());
  EXPECT_EQ(pointer.address(), buffer.As<float>() + 4);
  EXPECT_FALSE(device.stream().CopyToDevice(host, host, 4).ok());
  EXPECT_FALSE(device.stream().CopyToHost(buffer.data(), buffer.data(), 4).ok());
  EXPECT_FALSE(device.stream().CopyToDevice(buffer.data(), buffer.data(), 4).ok());
  EXPECT_FALSE(device.stream().CopyOnDevice(buffer.data() + 1, buffer.data(), 32).ok());
  EXPECT_FALSE(device.stream().Fill(buffer.data(), 0, 33).ok());
}

TEST(RuntimeTest, TooLittleMemorySaysWhatIsNeededAndFound) {
  TestDevice device(0, 1000);
  const DeviceBuffer kept = device.Empty<std::byte>(600);
  DeviceBuffer more;
  const KernelError error = device.device().Allocate(500, &more);
  EXPECT_EQ(error.code, KernelErrorCode::kNoMemory);
  EXPECT_EQ(error.text, "emulated:0 has 400 bytes of memory free of 1000, 500 are needed");
  DeviceInfo info;
  TestDevice::Need(device.device().Info(&info));
  EXPECT_EQ(info.memory_free, 400);
}

TEST(RuntimeTest, LaunchesThatNoGpuTakes) {
  TestDevice device;
  DeviceStream& stream = device.stream();
  EXPECT_THAT(stream.Launch(kTrialReverse, {.block = {65}}, {}).text, HasSubstr("kernel TrialReverse, grid (1, 1, 1), block (65, 1, 1), 0 bytes of dynamic shared memory: expected 1 to 64 threads"));
  EXPECT_FALSE(stream.Launch(kTrialReverse, {.block = {0}}, {}).ok());
  EXPECT_FALSE(stream.Launch(kTrialReverse, {.grid = {1, 65536}, .block = {64}}, {}).ok());
  EXPECT_FALSE(stream.Launch(kTrialReverse, {.block = {64}, .shared_bytes = kBlockSharedBytes + 1}, {}).ok());
  EXPECT_TRUE(stream.Launch(kTrialReverse, {.grid = {0}, .block = {64}}, {}).ok());   // zero rows
  EXPECT_TRUE(stream.Synchronize().ok());
}

// Fills on one stream, copies on another.
std::vector<uint32_t> FillThenCopy(bool with_event) {
  TestDevice device;
  std::unique_ptr<DeviceStream> second;
  std::unique_ptr<DeviceEvent> filled;
  TestDevice::Need(device.device().NewStream(&second));
  TestDevice::Need(device.device().NewEvent(&filled));
  const DeviceBuffer from = device.Empty<uint32_t>(4096), to = device.Empty<uint32_t>(4096);
  TestDevice::Need(device.stream().Launch(kProbeFill, {.grid = {4}, .block = {64}}, {{}, from.Pointer<uint32_t>(), 1024}));
  TestDevice::Need(device.stream().Record(*filled));
  if (with_event) TestDevice::Need(second->Wait(*filled));
  TestDevice::Need(second->Launch(kProbeCopy, {.grid = {4}, .block = {64}}, {from.Pointer<const uint32_t>(), to.Pointer<uint32_t>(), 1024}));
  TestDevice::Need(second->Synchronize());
  TestDevice::Need(device.stream().Synchronize());
  return device.Download<uint32_t>(to);
}

TEST(RuntimeTest, EventsOrderStreams) {
  for (int round = 0; round < 5; ++round) {
    const std::vector<uint32_t> found = FillThenCopy(true);
    for (uint32_t i = 0; i < found.size(); ++i) ASSERT_EQ(found[i], i);
  }
}

TEST(RuntimeTest, EventsTellTheTimeAndRefuseToBeAwaitedUnrecorded) {
  TestDevice device;
  std::unique_ptr<DeviceEvent> first, second;
  TestDevice::Need(device.device().NewEvent(&first));
  TestDevice::Need(device.device().NewEvent(&second));
  EXPECT_FALSE(device.stream().Wait(*first).ok());
  TestDevice::Need(device.stream().Record(*first));
  TestDevice::Need(device.stream().Record(*second));
  TestDevice::Need(second->Synchronize());
  float ms = -1;
  TestDevice::Need(second->MillisecondsSince(*first, &ms));
  EXPECT_GE(ms, 0);
}

#ifdef __SANITIZE_THREAD__
TEST_F(RuntimeDeathTest, TheThreadSanitizerFindsAMissingEvent) {
  EXPECT_DEATH({ FillThenCopy(false); std::exit(0); }, "data race");
}

TEST_F(RuntimeDeathTest, TheThreadSanitizerFindsAMissingSynchronize) {
  EXPECT_DEATH(
      {
        TestDevice device;
        const DeviceBuffer buffer = device.Upload(std::vector<int>(1000, 7));
        std::vector<int> host(1000);
        TestDevice::Need(device.stream().CopyToHost(host.data(), buffer.data(), 4000));
        TestDevice::Need(device.stream().Fill(buffer.data(), 0, 4));
        const int early = host[500];
        TestDevice::Need(device.stream().Synchronize());
        std::exit(early == 12345);
      },
      "data race");
}
#endif

#ifdef __SANITIZE_ADDRESS__
TEST_F(RuntimeDeathTest, TheAddressSanitizerFindsTheHostInDeviceMemory) {
  EXPECT_DEATH(
      {
        TestDevice device;
        const DeviceBuffer buffer = device.Upload(std::vector<int>(1000, 7));
        std::exit(*buffer.As<volatile int>() == 7);
      },
      "use-after-poison");
}
#endif

}  // namespace
}  // namespace atoll::kernels::testing
