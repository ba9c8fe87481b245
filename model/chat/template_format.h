#pragma once

#include <memory>

#include "base/status.h"
#include "model/chat/chat_format.h"

namespace atoll::model {

// A checkpoint's own template, interpreted. `config` has a chat_template. FAILED_PRECONDITION names the first construct of the
// template that is outside the subset of model/chat/jinja.
absl::StatusOr<std::unique_ptr<const ChatFormat>> MakeTemplateFormat(const TokenizerConfig& config);

}  // namespace atoll::model
