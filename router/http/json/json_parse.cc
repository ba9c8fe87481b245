#include "router/http/json/json_parse.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace atoll::router::http {
namespace {

// Builds the value from the parser's events; false stops it.
class Builder {
 public:
  explicit Builder(Json* root) : root_(root) {}

  bool null() { return Add(nullptr); }
  bool boolean(bool value) { return Add(value); }
  bool number_integer(int64_t value) { return Add(value); }
  bool number_unsigned(uint64_t value) { return Add(value); }
  bool number_float(double value, const std::string&) { return Add(value); }
  bool string(std::string& value) { return Add(std::move(value)); }
  bool binary(std::vector<uint8_t>&) { return Refuse("binary values are not JSON"); }

  bool start_object(size_t) { return Open(Json::object()); }
  bool start_array(size_t) { return Open(Json::array()); }
  bool end_object() { return Close(); }
  bool end_array() { return Close(); }

  bool key(std::string& name) {
    if (++members_ > kJsonMembersMax) return Refuse(absl::StrCat("it has more than ", kJsonMembersMax, " members"));
    if (open_.back()->contains(name)) return Refuse("an object has two members of one name");
    member_ = std::move(name);
    return true;
  }

  bool parse_error(size_t position, const std::string&, const Json::exception&) {
    return Refuse(absl::StrCat("an error at byte ", position));
  }

  const std::string& error() const { return error_; }

 private:
  bool Refuse(std::string sentence) {
    error_ = std::move(sentence);
    return false;
  }

  Json* Place(Json value) {
    if (open_.empty()) return &(*root_ = std::move(value));
    Json& parent = *open_.back();
    if (parent.is_object()) return &(parent[member_] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }
  bool Add(Json value) {
    Place(std::move(value));
    return true;
  }
  bool Open(Json value) {
    if (open_.size() >= kJsonDepthMax) return Refuse(absl::StrCat("it is nested deeper than ", kJsonDepthMax));
    open_.push_back(Place(std::move(value)));
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  Json* const root_;
  std::vector<Json*> open_;  // a child is placed in the innermost alone, so that none of these moves
  std::string member_;
  size_t members_ = 0;
  std::string error_;
};

}  // namespace

absl::Status ParseJson(std::string_view text, Json& value) {
  // The parser takes a NUL for the end.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("the body is not acceptable JSON: an error at byte ", nul));
  }
  Builder builder(&value);
  if (Json::sax_parse(text.begin(), text.end(), &builder)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the body is not acceptable JSON: ", builder.error()));
}

}  // namespace atoll::router::http
