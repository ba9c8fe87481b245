#pragma once

// DeepSeek's formats, written out: for checkpoints that come without their template. What they render is what the releases'
// templates render, their oddities included, since that is what the models saw.

#include <memory>

#include "model/chat/chat_format.h"

namespace atoll::model {

// With one tool call the closing token is missing, with three it comes twice; in a second round of tools the opening ones are
// missing, since the template never resets its flags.
std::unique_ptr<const ChatFormat> MakeV3Format();

// The two differ in the generation prompt: the one on the hub begins the thinking.
enum class R1Release { kHub, kApiDocs };
std::unique_ptr<const ChatFormat> MakeR1Format(R1Release release);

std::unique_ptr<const ChatFormat> MakeV31Format();

}  // namespace atoll::model
