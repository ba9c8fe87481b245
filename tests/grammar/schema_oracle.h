#pragma once

// Whether a document is valid under a schema, by another way than the one that is tested: on the parsed document.

#include <string>

namespace atoll::model::grammar {

// Empty: `document` is JSON and valid under `schema`; else what is wrong.
std::string WhyInvalid(const std::string& schema, const std::string& document);

}  // namespace atoll::model::grammar
