#pragma once

// One request of a client as it runs: the router's requests behind it, one for each prompt, and the one answer that they
// become, as a stream or whole.

#include <memory>

#include "router/http/api/answer_text.h"
#include "router/http/api/api_call.h"
#include "router/http/server/exchange.h"
#include "router/inference/front_door.h"

namespace atoll::router::http {

// Starts what `call` asks for and sees to it that `exchange` is answered; a client that leaves frees all of it. Returns at
// once. `front_door` outlives all of its requests.
void StartGeneration(FrontDoor& front_door, ApiCall call, const AnswerFacts& facts, std::shared_ptr<Exchange> exchange);

}  // namespace atoll::router::http
