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

// A response_format other than plain text is refused.
void ReadResponseFormat(JsonFields& fields);

// model, n, request_id and deadline aside, the call for one prompt.
GenerateCall ReadCall(JsonFields& fields);

}  // namespace atoll::router::http
