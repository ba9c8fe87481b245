#include "kernels/check/op_case.h"

#include <cstdio>
#include <cstdlib>

namespace atoll::kernels::check {

Array& CaseMaker::New(OpCase& made, int64_t bytes) {
  made.arrays.push_back(std::make_unique<Array>());
  if (const KernelError error = Array::Make(device, bytes, made.arrays.back().get()); !error.ok()) {
    std::fprintf(stderr, "kernels_check: %s\n", error.text.c_str());
    std::exit(1);
  }
  return *made.arrays.back();
}

Array& CaseMaker::NewNormal(OpCase& made, DType dtype, int64_t elements, float scale) {
  Array& array = New(made, elements * DTypeBytes(dtype));
  array.FillNormal(random, dtype, scale);
  return array;
}

}  // namespace atoll::kernels::check
