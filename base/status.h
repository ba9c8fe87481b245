#pragma once

// absl::Status and StatusOr with the two macros that every caller needs. Messages say expected, found and where.

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

#define ATOLL_CONCAT_INNER(a, b) a##b
#define ATOLL_CONCAT(a, b) ATOLL_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expression` is not OK.
#define ATOLL_RETURN_IF_ERROR(expression)                    \
  do {                                                       \
    if (absl::Status atoll_status = (expression); !atoll_status.ok()) return atoll_status; \
  } while (false)

// ATOLL_ASSIGN_OR_RETURN(auto x, F()): x is F's value, or the enclosing function returns F's status.
#define ATOLL_ASSIGN_OR_RETURN(target, expression) \
  ATOLL_ASSIGN_OR_RETURN_INNER(ATOLL_CONCAT(atoll_or_, __LINE__), target, expression)
#define ATOLL_ASSIGN_OR_RETURN_INNER(holder, target, expression) \
  auto holder = (expression);                                    \
  if (!holder.ok()) return std::move(holder).status();           \
  target = *std::move(holder)
