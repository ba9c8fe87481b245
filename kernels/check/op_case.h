#pragma once

// One op in one shape: what runs, what it may cost, what it has to give.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/check/array.h"
#include "kernels/context.h"

namespace atoll::kernels::check {

struct Output {
  const Array* array = nullptr;
  DType dtype = DType::kF32;     // kF32, kBF16, kI32, or kF8E8M0 for plain bytes
  int64_t row_elements = 0;
};

struct OpCase {
  std::string op = {};
  std::string shape = {};              // without the rows
  int64_t rows = 0;
  double tolerance = 0;           // of the device: worst |found - expected| over the root mean square of what is expected
  double weight_bytes = 0;        // read once, whatever the rows
  double row_bytes = 0, row_flop = 0;
  bool any_rows = true;           // whether `rows` may be smaller than that, and the first rows are then the same
  std::vector<std::unique_ptr<Array>> arrays = {};   // all that the two below refer to, on the device before they run
  std::vector<Output> outputs = {};
  // For results that are no plain arrays: what comes back from the device, and what makes the outputs of it, on the host.
  std::vector<const Array*> raw = {};
  std::function<void(int64_t rows)> unpack = {};
  std::function<KernelError(const Context& context, int64_t rows)> on_host = {};
  std::function<KernelError(DeviceStream& stream, int64_t rows)> on_device = {};
};

// What cases are made for.
struct CaseMaker {
  Device* device = nullptr;       // null: the CPU
  bool family = false;            // the shapes of the 671B model; else those of the bundled checkpoint and other small ones
  std::mt19937 random{20251124};

  // A new array of the case, poisoned. Without the memory for it the process ends with one line: nothing can be checked then.
  Array& New(OpCase& made, int64_t bytes);
  // The same, filled from a normal distribution.
  Array& NewNormal(OpCase& made, DType dtype, int64_t elements, float scale = 1);
};

// A case is made when its turn comes, so that the arrays of one are there at a time.
struct CaseEntry {
  std::string op = {};
  std::function<OpCase(CaseMaker& maker)> make;
};
using Cases = std::vector<CaseEntry>;
void AddRowCases(bool family, Cases& cases);       // RMSNorm, SwiGLU, embedding, combine
void AddRopeCases(bool family, Cases& cases);
void AddGateCases(bool family, Cases& cases);
void AddLinearCases(bool family, Cases& cases);
void AddExpertCases(bool family, Cases& cases);
void AddAttentionCases(bool family, Cases& cases);
void AddHeadCases(bool family, Cases& cases);

}  // namespace atoll::kernels::check
