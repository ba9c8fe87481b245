#pragma once

// What completions and chat have in common.

#include "router/http/api/api_call.h"

namespace atoll::router::http {

// Errors are left in `fields`.
SamplingCall ReadSampling(JsonFields& fields);
StoppingCall ReadStopping(JsonFields& fields);
void ReadAnswer(JsonFields& fields, AnswerOptions& answer);

// Known fields that this server has no use for: fine where they ask for nothing, refused by name otherwise.
void RefuseUnsupported(JsonFields& fields);
// Known fields that change nothing here.
void Ignore(JsonFields& fields);

// model, n, request_id and deadline aside, the call for one prompt. `text`: the body as it was written.
GenerateCall ReadCall(JsonFields& fields, std::string_view text);

}  // namespace atoll::router::http
