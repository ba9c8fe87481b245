#include "router/http/json/json_fields.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "router/request/validation.h"

namespace atoll::router::http {
namespace {

constexpr double kWholeMax = 9007199254740992.0;  // 2^53: from here on a double names no single integer

std::optional<int64_t> WholeNumber(const Json& value) {
  if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
  if (value.is_number_integer()) return value.get<int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double number = value.get<double>();
  if (std::floor(number) != number || std::fabs(number) >= kWholeMax) return std::nullopt;
  return static_cast<int64_t>(number);
}

}  // namespace

std::string TypeName(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return "null";
    case Json::value_t::object: return "an object";
    case Json::value_t::array: return "an array";
    case Json::value_t::string: return "a string";
    case Json::value_t::boolean: return "a boolean";
    case Json::value_t::number_float: return "a fractional number";
    default: return "a number";
  }
}

JsonFields::JsonFields(const Json& value, std::string path) : value_(value), path_(std::move(path)) {
  if (value.is_object()) return;
  const std::string where = path_.empty() ? "body" : path_;
  status_ = InvalidField(where, absl::StrCat("expected an object, found ", TypeName(value)));
}

const Json* JsonFields::Any(const std::string& name) {
  known_.insert(name);
  if (!value_.is_object()) return nullptr;
  const auto found = value_.find(name);
  return found == value_.end() || found->is_null() ? nullptr : &*found;
}

void JsonFields::WrongType(const std::string& name, const std::string& expected, const Json& found) {
  Fail(name, absl::StrCat("expected ", expected, ", found ", TypeName(found)));
}

std::optional<bool> JsonFields::Bool(const std::string& name) {
  const Json* found = Any(name);
  if (found == nullptr) return std::nullopt;
  if (found->is_boolean()) return found->get<bool>();
  WrongType(name, "a boolean", *found);
  return std::nullopt;
}

std::optional<int64_t> JsonFields::Int(const std::string& name) {
  const Json* found = Any(name);
  if (found == nullptr) return std::nullopt;
  const std::optional<int64_t> whole = WholeNumber(*found);
  if (!whole) WrongType(name, "an integer", *found);
  return whole;
}

std::optional<uint64_t> JsonFields::Bits(const std::string& name) {
  const Json* found = Any(name);
  if (found != nullptr && found->is_number_unsigned()) return found->get<uint64_t>();
  const std::optional<int64_t> whole = Int(name);
  return whole ? std::optional<uint64_t>(static_cast<uint64_t>(*whole)) : std::nullopt;
}

std::optional<float> JsonFields::Float(const std::string& name) {
  const Json* found = Any(name);
  if (found == nullptr) return std::nullopt;
  if (found->is_number()) return static_cast<float>(found->get<double>());
  WrongType(name, "a number", *found);
  return std::nullopt;
}

std::optional<std::string> JsonFields::Text(const std::string& name) {
  const Json* found = Any(name);
  if (found == nullptr) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  WrongType(name, "a string", *found);
  return std::nullopt;
}

const Json* JsonFields::Array(const std::string& name) {
  const Json* found = Any(name);
  if (found == nullptr || found->is_array()) return found;
  WrongType(name, "an array", *found);
  return nullptr;
}

const Json* JsonFields::Object(const std::string& name) {
  const Json* found = Any(name);
  if (found == nullptr || found->is_object()) return found;
  WrongType(name, "an object", *found);
  return nullptr;
}

std::vector<int32_t> JsonFields::TokenIds(const std::string& name) {
  const Json* found = Array(name);
  if (found == nullptr) return {};
  absl::StatusOr<std::vector<int32_t>> ids = ReadTokenIds(*found, PathOf(name));
  Merge(ids.status());
  return ids.ok() ? *std::move(ids) : std::vector<int32_t>();
}

void JsonFields::Fail(const std::string& name, const std::string& sentence) { Merge(InvalidField(PathOf(name), sentence)); }

void JsonFields::Refuse(const std::string& name, const std::string& sentence) {
  const std::string path = PathOf(name);
  Merge(WithErrorInfo(absl::InvalidArgumentError(absl::StrCat(path, ": ", sentence)),
                      {.reason = "UNSUPPORTED_VALUE", .metadata = {{"field", path}}, .retry_after_ms = {}}));
}

void JsonFields::Merge(const absl::Status& status) {
  if (status_.ok()) status_ = status;
}

std::vector<std::string> JsonFields::Unknown() const {
  std::vector<std::string> unknown;
  if (!value_.is_object()) return unknown;
  for (const auto& [name, member] : value_.items()) {
    if (!known_.contains(name)) unknown.push_back(PathOf(name));
  }
  return unknown;
}

absl::StatusOr<std::vector<int32_t>> ReadTokenIds(const Json& list, const std::string& path) {
  std::vector<int32_t> ids;
  ids.reserve(list.size());
  for (const Json& entry : list) {
    const std::optional<int64_t> id = entry.is_number_integer() ? WholeNumber(entry) : std::nullopt;
    if (!id || *id < INT32_MIN || *id > INT32_MAX) {
      return InvalidField(absl::StrCat(path, "[", ids.size(), "]"), absl::StrCat("expected a token id, found ", TypeName(entry)));
    }
    ids.push_back(static_cast<int32_t>(*id));
  }
  return ids;
}

}  // namespace atoll::router::http
