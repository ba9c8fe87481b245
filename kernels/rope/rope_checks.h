#pragma once

#include "kernels/rope/rope.h"

namespace atoll::kernels {

// What rope.h asks of the shapes, on any processor; whether positions lie in the table is not among it.
KernelError CheckRotateQueriesShapes(const RopeTable& table, const RotateQueriesArgs& args);
KernelError CheckWriteKeysShapes(const RopeTable& table, const WriteKeysArgs& args);

}  // namespace atoll::kernels
