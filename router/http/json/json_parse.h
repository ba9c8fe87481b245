#pragma once

// JSON of a client: bounded in depth and members, without what would make two readers see two things.

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "base/status.h"

namespace atoll::router::http {

using Json = nlohmann::json;

inline constexpr size_t kJsonDepthMax = 64;
inline constexpr size_t kJsonMembersMax = 65536;  // of all objects together

// INVALID_ARGUMENT with the byte where it stops being JSON: invalid UTF-8, lone surrogates, NaN, numbers beyond double,
// members that come twice, more depth or members than the limits, anything after the value. Nothing of the text is repeated.
absl::Status ParseJson(std::string_view text, Json& value);

}  // namespace atoll::router::http
