#pragma once

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "kernels/kernel_error.h"

namespace atoll::attention_node {

// Shapes that we passed ourselves do not fit: a broken invariant. The one place where a KernelError is translated.
inline void MustRun(const kernels::KernelError& error, const char* stage) {
  ATOLL_CHECK(error.ok(), absl::StrCat(stage, ": ", error.text));
}

}  // namespace atoll::attention_node
