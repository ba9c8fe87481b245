#pragma once

// The members of a JSON object, read by name and type. The first error is kept, and what nobody asked for is known at the
// end. A null counts as absent.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "router/http/json/json_parse.h"

namespace atoll::router::http {

// `value`'s type in words: "a string".
std::string TypeName(const Json& value);

// Thread-compatible. Null for a member that is absent, null, or not of the type.
class JsonFields {
 public:
  // `value` outlives the fields; it must be an object. `path` names it in errors; empty: the body itself.
  JsonFields(const Json& value, std::string path);

  std::optional<bool> Bool(const std::string& name);
  std::optional<int64_t> Int(const std::string& name);  // 2.0 is one
  std::optional<uint64_t> Bits(const std::string& name);   // an integer of 64 bits, signed or not
  std::optional<float> Float(const std::string& name);
  std::optional<std::string> Text(const std::string& name);
  const Json* Array(const std::string& name);
  const Json* Object(const std::string& name);
  const Json* Any(const std::string& name);
  // A list of integers, each in int32.
  std::vector<int32_t> TokenIds(const std::string& name);

  // INVALID_ARGUMENT with the field: wrong in itself, or fine elsewhere and not offered here.
  void Fail(const std::string& name, const std::string& sentence);
  void Refuse(const std::string& name, const std::string& sentence);
  void Merge(const absl::Status& status);

  const absl::Status& status() const { return status_; }
  std::string PathOf(const std::string& name) const { return path_.empty() ? name : path_ + "." + name; }
  std::vector<std::string> Unknown() const;

 private:
  void WrongType(const std::string& name, const std::string& expected, const Json& found);

  const Json& value_;
  const std::string path_;
  std::set<std::string> known_;
  absl::Status status_;
};

// A token id list that stands anywhere; `path` names it.
absl::StatusOr<std::vector<int32_t>> ReadTokenIds(const Json& list, const std::string& path);

}  // namespace atoll::router::http
