#pragma once

// Runs cases and judges them.

#include <memory>
#include <string>

#include "kernels/check/op_case.h"

namespace atoll::kernels::check {

struct Ceilings {
  double read_bytes = 0;    // per second; 0: not measured
  double mma_flop = 0;      // bf16 by mma.sync
};

struct Verdict {
  bool ok = false;
  double worst_error = 0;
  std::string text;          // "ok", or what is wrong
  double ms = -1;            // median; negative: not timed
};

// Owns the stream of the device that is checked, or the CPU's pool.
class Checker {
 public:
  static KernelError Make(Device* device, std::unique_ptr<Checker>* checker);

  // Against the CPU's kernels (checking the CPU: its plain loops), poisoned outputs; then with fewer rows, whose bits must not change.
  Verdict Check(OpCase& tried);
  // The median time of a launch with the L2 flushed (on the CPU: of a call).
  KernelError Time(OpCase& timed, int runs, double* ms);
  // Of this device, now.
  KernelError MeasureCeilings(Ceilings* ceilings);

 private:
  explicit Checker(Device* device);
  KernelError RunChecked(OpCase& tried, int64_t rows);
  KernelError UploadAll(OpCase& tried);
  KernelError Download(const OpCase& tried);
  KernelError FlushL2();
  KernelError TimeOnce(OpCase& timed, double* ms);

  Device* device_;
  ComputePool pool_;
  Context reference_, fast_;
  std::unique_ptr<DeviceStream> stream_;
  std::unique_ptr<DeviceEvent> begin_, end_;
  DeviceBuffer flush_;
};

}  // namespace atoll::kernels::check
