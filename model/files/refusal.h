#pragma once

// The error of a file or table that is not what it must be.

#include "base/status.h"

namespace atoll::model {

template <typename... Parts>
absl::Status Refusal(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// The same error with the file's path in front.
inline absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

}  // namespace atoll::model
