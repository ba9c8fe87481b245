#pragma once

// /tokenize and /detokenize: what text and chats are to the model, and back.

#include "router/http/door/routes.h"
#include "router/inference/front_door.h"
#include "router/inference/worker.h"

namespace atoll::router::http {

// Runs long bodies on the worker, away from the thread that serves all connections; 429 when it has too much to do.
Handler ByLength(Worker* worker, Handler handler);

// Both outlive the routes' use.
void AddTokenizeRoutes(FrontDoor* front_door, Worker* worker, Routes& routes);

}  // namespace atoll::router::http
