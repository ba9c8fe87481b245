#include "model/files/config_fields.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "model/files/refusal.h"

namespace atoll::model {
namespace {

constexpr size_t kTokenIdsMax = 64;
constexpr size_t kShownBytesMax = 100;

// Nothing unless the value is a whole number that int64 holds.
std::optional<int64_t> WholeNumber(const Json* value) {
  if (value == nullptr || !value->is_number_integer()) return std::nullopt;
  if (value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX) return std::nullopt;
  return value->get<int64_t>();
}

}  // namespace

const Json* ConfigFields::Find(const char* name) const {
  const auto at = object_.find(name);
  return at == object_.end() || at->is_null() ? nullptr : &*at;
}

bool ConfigFields::Has(const char* name) const { return object_.contains(name); }

int64_t ConfigFields::Int(const char* name, Range range, std::optional<int64_t> absent) {
  const Json* value = Find(name);
  if (value == nullptr && absent) return *absent;
  const std::optional<int64_t> number = WholeNumber(value);
  if (number && *number >= range.min && *number <= range.max) return *number;
  Wrong(name, absl::StrCat("a whole number from ", range.min, " to ", range.max), value);
  return range.min;
}

int64_t ConfigFields::Even(const char* name, Range range, std::optional<int64_t> absent) {
  const int64_t value = Int(name, range, absent);
  if (value % 2 != 0) Wrong(name, "an even number", Find(name));
  return value;
}

double ConfigFields::Double(const char* name, double min, double max, std::optional<double> absent) {
  const Json* value = Find(name);
  if (value == nullptr && absent) return *absent;
  if (value != nullptr && value->is_number()) {
    const double number = value->get<double>();
    if (std::isfinite(number) && number >= min && number <= max) return number;
  }
  Wrong(name, absl::StrCat("a number from ", min, " to ", max), value);
  return min;
}

bool ConfigFields::Bool(const char* name, bool absent) {
  const Json* value = Find(name);
  if (value == nullptr) return absent;
  if (value->is_boolean()) return value->get<bool>();
  Wrong(name, "true or false", value);
  return absent;
}

std::string ConfigFields::Text(const char* name, const char* absent) {
  const Json* value = Find(name);
  if (value == nullptr) return absent;
  if (value->is_string()) return value->get<std::string>();
  Wrong(name, "a string", value);
  return absent;
}

void ConfigFields::RequireText(const char* name, const char* only, const char* reason) {
  if (Text(name, only) != only) Wrong(name, absl::StrCat("\"", only, "\" (", reason, ")"), Find(name));
}

std::vector<int64_t> ConfigFields::TokenIds(const char* name, int64_t vocab_size) {
  std::vector<int64_t> ids;
  const Json* value = Find(name);
  if (value == nullptr) return ids;
  const Json list = value->is_array() ? *value : Json::array({*value});
  for (const Json& entry : list) {
    const std::optional<int64_t> id = WholeNumber(&entry);
    if (!id || *id < 0 || *id >= vocab_size || ids.size() == kTokenIdsMax) {
      Wrong(name, absl::StrCat("at most ", kTokenIdsMax, " token ids below ", vocab_size), value);
      return {};
    }
    ids.push_back(*id);
  }
  return ids;
}

void ConfigFields::Wrong(const char* name, const std::string& expected, const Json* found) {
  if (!status_.ok()) return;
  std::string text = found == nullptr ? "nothing" : found->dump(-1, ' ', /*ensure_ascii=*/true);
  if (text.size() > kShownBytesMax) text = text.substr(0, kShownBytesMax) + "...";
  status_ = Refusal("field ", name, " must be ", expected, ", found ", text);
}

}  // namespace atoll::model
