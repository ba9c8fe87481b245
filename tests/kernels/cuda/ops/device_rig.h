#pragma once

// An emulated device for tests of ops: matrices copied there and back, and every run under four schedules with equal bits.

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include "../../op_testing.h"
#include "kernels/cuda/device.h"

namespace atoll::kernels::testing {

#define ATOLL_EXPECT_OK(expression)                      \
  do {                                                   \
    const ::atoll::kernels::KernelError error = (expression); \
    EXPECT_TRUE(error.ok()) << error.text;               \
  } while (false)

// Under the address sanitizer a switch between fibers takes twenty times as long: two schedules there.
#ifdef __SANITIZE_ADDRESS__
inline constexpr uint64_t kSchedules = 2;
#else
inline constexpr uint64_t kSchedules = 4;
#endif

class DeviceRig {
 public:
  explicit DeviceRig(uint64_t schedule) {
    ATOLL_EXPECT_OK(OpenDevice({DeviceKind::kEmulated, 0}, &device_, {.schedule = schedule}));
    ATOLL_EXPECT_OK(device_->NewStream(&stream_));
  }

  DeviceStream& stream() { return *stream_; }

  // Bytes there; they live as long as the rig. What is not given is poison.
  std::byte* Allocate(int64_t bytes) {
    buffers_.emplace_back();
    ATOLL_EXPECT_OK(device_->Allocate(std::max<int64_t>(bytes, 16), &buffers_.back()));
    ATOLL_EXPECT_OK(stream_->Fill(buffers_.back().data(), 0xFF, buffers_.back().bytes()));
    return buffers_.back().data();
  }
  template <typename T>
  std::span<T> Room(size_t count) { return {reinterpret_cast<T*>(Allocate(static_cast<int64_t>(count * sizeof(T)))), count}; }
  template <typename T>
  std::span<T> Upload(std::span<const T> values) {
    const std::span<T> there = Room<T>(values.size());
    if (!values.empty()) ATOLL_EXPECT_OK(stream_->CopyToDevice(there.data(), values.data(), static_cast<int64_t>(values.size_bytes())));
    ATOLL_EXPECT_OK(stream_->Synchronize());
    return there;
  }
  template <typename T>
  std::span<T> Upload(const std::vector<T>& values) { return Upload(std::span<const T>(values)); }
  template <typename T>
  std::vector<T> Download(std::span<T> there) {
    std::vector<T> values(there.size());
    if (!values.empty()) ATOLL_EXPECT_OK(stream_->CopyToHost(values.data(), there.data(), static_cast<int64_t>(there.size_bytes())));
    ATOLL_EXPECT_OK(stream_->Synchronize());
    return values;
  }

 private:
  std::unique_ptr<Device> device_;
  std::vector<DeviceBuffer> buffers_;
  std::unique_ptr<DeviceStream> stream_;
};

// A copy of a host matrix, poison around it included; Fetch brings it back.
template <typename Matrix>
class DeviceCopy {
 public:
  DeviceCopy(DeviceRig& rig, Matrix& host) : rig_(rig), host_(host), bytes_(rig.Upload(Bytes(host))) {}
  MatrixView view() {
    MatrixView view = host_.view();
    view.data = bytes_.data();
    return view;
  }
  void Fetch() {
    const std::vector<std::byte> bytes = rig_.Download(bytes_);
    std::memcpy(host_.view().data, bytes.data(), bytes.size());
  }

 private:
  static std::span<const std::byte> Bytes(const Matrix& host) { return std::as_bytes(std::span(host.bytes())); }

  DeviceRig& rig_;
  Matrix& host_;
  std::span<std::byte> bytes_;
};

// The bits of `run(rig)`, a vector of something comparable, under all schedules.
template <typename Run>
auto UnderSchedules(const Run& run) {
  DeviceRig first(0);
  const auto result = run(first);
  for (uint64_t schedule = 1; schedule < kSchedules; ++schedule) {
    DeviceRig rig(schedule);
    EXPECT_TRUE(SameBytes(run(rig), result)) << "schedule " << schedule;
  }
  return result;
}

inline std::vector<uint8_t> RowBytes(const TestMatrix& matrix, MatrixView view, int64_t row) {
  const uint8_t* const at = matrix.bytes().data() + row * view.stride * DTypeBytes(view.dtype);
  return {at, at + view.cols * DTypeBytes(view.dtype)};
}

// Promise P1: a row's bits are its own. `run(rig, picks)` computes rows picks[0], picks[1], ... of one pool together and returns each one's
// bytes. Every batch holds rows in another order and place.
template <typename Run>
void ExpectRowsIndependent(int64_t pool, const Run& run, const std::vector<int64_t>& batches = {2, 17, 64, 65, 256}) {
  std::mt19937 random(11);
  DeviceRig alone(0);
  std::vector<std::vector<uint8_t>> expected;
  for (int64_t row = 0; row < pool; ++row) expected.push_back(run(alone, std::vector<int32_t>{static_cast<int32_t>(row)})[0]);
  for (int64_t rows : batches) {
    std::vector<int32_t> picks(rows);
    for (int32_t& pick : picks) pick = static_cast<int32_t>(random() % pool);
    DeviceRig rig(1 + rows % 3);
    const std::vector<std::vector<uint8_t>> found = run(rig, picks);
    for (int64_t i = 0; i < rows; ++i) ASSERT_EQ(found[i], expected[picks[i]]) << "row " << picks[i] << " as " << i << " of " << rows;
  }
}

// |found - expected| <= absolute + relative * |expected|, everywhere.
inline void ExpectNear(const TestMatrix& found, TestMatrix& expected, float relative, float absolute) {
  const MatrixView view = expected.view();
  for (int64_t row = 0; row < view.rows; ++row) {
    for (int64_t col = 0; col < view.cols; ++col) {
      const float e = expected.Get(row, col), f = found.Get(row, col);
      ASSERT_LE(std::abs(f - e), absolute + relative * std::abs(e)) << "row " << row << ", column " << col << ": " << f << ", expected " << e;
    }
  }
}

}  // namespace atoll::kernels::testing
