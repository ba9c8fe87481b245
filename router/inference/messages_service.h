#pragma once

// Between the messages of inference.proto and the router's own structs; included by inference_service.cc alone.

#include "router/inference/front_door.h"
#include "router/request/request_stream.h"

namespace atoll::v1 {
class GenerateRequest;
class GenerateResponse;
class TokenizeRequest;
}  // namespace atoll::v1

namespace atoll::router {

// All but the deadline, which is the call's.
GenerateCall ReadCall(const v1::GenerateRequest& from);
FrontDoor::TokenizeCall ReadTokenize(const v1::TokenizeRequest& from);

// All but the request id. `to` is empty.
void FillResponse(const ResponseDelta& delta, bool with_logprobs, v1::GenerateResponse& to);

}  // namespace atoll::router
