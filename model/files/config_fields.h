#pragma once

// Typed, range-checked fields of one JSON object. Keeps the first error, so that a reader is a plain list of fields; a
// field that is wrong yields some value in its range.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace atoll::model {

using Json = nlohmann::json;

struct Range {
  int64_t min;
  int64_t max;
};

// Borrows object and status; used by one thread.
class ConfigFields {
 public:
  ConfigFields(const Json& object, absl::Status& status) : object_(object), status_(status) {}

  // Null when the field is absent or null.
  const Json* Find(const char* name) const;
  bool Has(const char* name) const;

  // Without `absent` the field is required.
  int64_t Int(const char* name, Range range, std::optional<int64_t> absent = std::nullopt);
  // Kernels walk these dimensions in pairs.
  int64_t Even(const char* name, Range range, std::optional<int64_t> absent = std::nullopt);
  double Double(const char* name, double min, double max, std::optional<double> absent = std::nullopt);
  bool Bool(const char* name, bool absent);
  std::string Text(const char* name, const char* absent);
  void RequireText(const char* name, const char* only, const char* reason);
  // One id or a list of ids.
  std::vector<int64_t> TokenIds(const char* name, int64_t vocab_size);

  void Wrong(const char* name, const std::string& expected, const Json* found);

 private:
  const Json& object_;
  absl::Status& status_;
};

}  // namespace atoll::model
