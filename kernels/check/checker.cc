#include "kernels/check/checker.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "kernels/check/compare.h"
#include "kernels/check/mma_probe_cuda.h"
#include "kernels/cuda/probe_cuda.h"

namespace atoll::kernels::check {
namespace {

constexpr int64_t kFlushBytes = int64_t{256} << 20;   // over twice what any L2 holds

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

}  // namespace

Checker::Checker(Device* device) : device_(device), pool_({}), fast_{DetectIsa(), &pool_} {
  reference_ = device == nullptr ? Context{Isa::kReference, &pool_} : fast_;   // the CPU's fast kernels give its plain loops' bits
}

KernelError Checker::Make(Device* device, std::unique_ptr<Checker>* checker) {
  std::unique_ptr<Checker> made(new Checker(device));
  if (device != nullptr) {
    ATOLL_RETURN_IF_KERNEL_ERROR(device->NewStream(&made->stream_));
    ATOLL_RETURN_IF_KERNEL_ERROR(device->NewEvent(&made->begin_));
    ATOLL_RETURN_IF_KERNEL_ERROR(device->NewEvent(&made->end_));
    if (device->kind() == DeviceKind::kCuda) ATOLL_RETURN_IF_KERNEL_ERROR(device->Allocate(kFlushBytes, &made->flush_));
  }
  *checker = std::move(made);
  return {};
}

KernelError Checker::UploadAll(OpCase& tried) {
  for (const auto& array : tried.arrays) ATOLL_RETURN_IF_KERNEL_ERROR(stream_->CopyToDevice(array->At(Place::kDevice), array->At(Place::kHost), array->bytes()));
  return {};
}

KernelError Checker::Download(const OpCase& tried) {
  const auto copy = [&](const Array& array) { return stream_->CopyToHost(array.At(Place::kHost), array.At(Place::kDevice), array.bytes()); };
  for (const Output& output : tried.outputs) ATOLL_RETURN_IF_KERNEL_ERROR(copy(*output.array));
  for (const Array* array : tried.raw) ATOLL_RETURN_IF_KERNEL_ERROR(copy(*array));
  return stream_->Synchronize();
}

// Outputs are poisoned before, and on the host after.
KernelError Checker::RunChecked(OpCase& tried, int64_t rows) {
  for (const Output& output : tried.outputs) std::memset(output.array->At(Place::kHost), 0xFF, static_cast<size_t>(output.array->bytes()));
  if (device_ == nullptr) {
    ATOLL_RETURN_IF_KERNEL_ERROR(tried.on_host(fast_, rows));
  } else {
    ATOLL_RETURN_IF_KERNEL_ERROR(UploadAll(tried));
    ATOLL_RETURN_IF_KERNEL_ERROR(tried.on_device(*stream_, rows));
    ATOLL_RETURN_IF_KERNEL_ERROR(Download(tried));
  }
  if (tried.unpack) tried.unpack(rows);
  return {};
}

Verdict Checker::Check(OpCase& tried) {
  Verdict verdict;
  const auto failed = [&](const KernelError& error) {
    verdict.text = error.text;
    return !error.ok();
  };
  if (failed(tried.on_host(reference_, tried.rows))) return verdict;
  if (tried.unpack) tried.unpack(tried.rows);
  const std::vector<Kept> expected = Keep(tried);
  if (failed(RunChecked(tried, tried.rows))) return verdict;
  verdict.worst_error = WorstError(tried, expected);
  if (!(verdict.worst_error <= (device_ == nullptr ? 0 : tried.tolerance))) {
    verdict.text = "WRONG";
    return verdict;
  }
  const std::vector<Kept> whole = Keep(tried);
  for (int64_t rows : {1, 2, 17, 64, 65}) {
    if (!tried.any_rows || rows >= tried.rows) continue;
    if (failed(RunChecked(tried, rows))) return verdict;
    if (SameFirstRows(tried, whole, rows)) continue;
    verdict.text = "WRONG: other bits at " + std::to_string(rows) + " rows, or a write beyond them";
    return verdict;
  }
  verdict.ok = true;
  verdict.text = "ok";
  return verdict;
}

KernelError Checker::FlushL2() {
  return flush_.bytes() == 0 ? KernelError{} : stream_->Fill(flush_.data(), 0, flush_.bytes());
}

KernelError Checker::TimeOnce(OpCase& timed, double* ms) {
  if (device_ == nullptr) {
    const auto begin = std::chrono::steady_clock::now();
    ATOLL_RETURN_IF_KERNEL_ERROR(timed.on_host(fast_, timed.rows));
    *ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    return {};
  }
  ATOLL_RETURN_IF_KERNEL_ERROR(FlushL2());
  ATOLL_RETURN_IF_KERNEL_ERROR(stream_->Record(*begin_));
  ATOLL_RETURN_IF_KERNEL_ERROR(timed.on_device(*stream_, timed.rows));
  ATOLL_RETURN_IF_KERNEL_ERROR(stream_->Record(*end_));
  ATOLL_RETURN_IF_KERNEL_ERROR(end_->Synchronize());
  float measured = 0;
  ATOLL_RETURN_IF_KERNEL_ERROR(end_->MillisecondsSince(*begin_, &measured));
  *ms = measured;
  return {};
}

KernelError Checker::Time(OpCase& timed, int runs, double* ms) {
  if (device_ != nullptr) ATOLL_RETURN_IF_KERNEL_ERROR(UploadAll(timed));
  std::vector<double> all(static_cast<size_t>(runs));
  for (double& one : all) ATOLL_RETURN_IF_KERNEL_ERROR(TimeOnce(timed, &one));
  *ms = Median(all);
  return {};
}

KernelError Checker::MeasureCeilings(Ceilings* ceilings) {
  if (device_ == nullptr || device_->kind() != DeviceKind::kCuda) return {};
  DeviceInfo info;
  ATOLL_RETURN_IF_KERNEL_ERROR(device_->Info(&info));
  const auto blocks = static_cast<uint32_t>(info.multiprocessors);
  const int64_t bytes = int64_t{2} << 30;
  DeviceBuffer memory;
  ATOLL_RETURN_IF_KERNEL_ERROR(device_->Allocate(bytes, &memory));
  OpCase reading, multiplying;
  reading.on_device = [&](DeviceStream& stream, int64_t) {
    return stream.Launch(kProbeRead, {.grid = {4 * blocks}, .block = {512}}, {memory.Pointer<const uint32_t>(), memory.Pointer<uint32_t>(), bytes / 16});
  };
  constexpr int kRounds = 4096;
  multiplying.on_device = [&](DeviceStream& stream, int64_t) {
    return stream.Launch(kMmaProbe, {.grid = {2 * blocks}, .block = {256}}, {memory.Pointer<float>(), kRounds});
  };
  double read_ms = 0, mma_ms = 0;
  ATOLL_RETURN_IF_KERNEL_ERROR(Time(reading, 9, &read_ms));
  ATOLL_RETURN_IF_KERNEL_ERROR(Time(multiplying, 9, &mma_ms));
  ceilings->read_bytes = static_cast<double>(bytes) / (read_ms * 1e-3);
  ceilings->mma_flop = 2.0 * 16 * 8 * 16 * kMmaProbeChains * kRounds * (256 / 32) * 2 * blocks / (mma_ms * 1e-3);
  return {};
}

}  // namespace atoll::kernels::check
