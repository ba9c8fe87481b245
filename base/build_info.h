#pragma once

// What was built.

#include <string>

namespace atoll {

std::string Version();
// Of the sources, as it was when the build was configured; "unknown" outside a repository.
std::string Commit();

}  // namespace atoll
