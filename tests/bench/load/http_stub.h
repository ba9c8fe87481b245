#pragma once

namespace atoll::load {

// An OpenAI server that streams max_tokens chunks of one token each, as fast as they are taken. Writes HOST:PORT into the pipe.
[[noreturn]] void RunHttpStub(int pipe);

}  // namespace atoll::load
