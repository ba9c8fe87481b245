#pragma once

// Parts of a JSON text as they were written: a tree does not keep the order of members, which for a schema is the order in which a model
// writes them.

#include <optional>
#include <string_view>
#include <vector>

namespace atoll::router::http {

// `text` is JSON that ParseJson takes. Nothing where it is not of the type, or has no such member.
std::optional<std::string_view> MemberText(std::string_view text, std::string_view name);
std::vector<std::string_view> ElementTexts(std::string_view text);

// A member of a member of ...
std::optional<std::string_view> TextAtPath(std::string_view text, const std::vector<std::string_view>& path);

}  // namespace atoll::router::http
