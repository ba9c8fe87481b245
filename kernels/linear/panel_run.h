#pragma once

// From a packed matrix to the unit of work that threads claim. Inside of linear and grouped_experts.

#include "base/matrix_view.h"
#include "kernels/linear/packed_matrix.h"
#include "kernels/linear/panel.h"

namespace atoll::kernels {

// One panel of `weights` for all rows of y, at most kPanelRowsMax. Row r of x is row x_rows[r], or row r where that is null.
// `y_panel` is where the panel's first output goes: [rows, at least the panel's width].
PanelRun MakePanelRun(const PackedMatrix& weights, int64_t panel, const ConstMatrixView& x, const int32_t* x_rows, const MatrixView& y_panel);

// y from its column `first` on.
inline MatrixView ColumnsFrom(const MatrixView& y, int64_t first) {
  return {static_cast<char*>(y.data) + first * DTypeBytes(y.dtype), y.dtype, y.rows, y.cols - first, y.stride};
}

}  // namespace atoll::kernels
