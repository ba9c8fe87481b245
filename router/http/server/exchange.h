#pragma once

// One request's answer: whole, or as a stream of pieces.

#include <functional>
#include <memory>
#include <string>

#include "router/http/server/message.h"

namespace atoll::router::http {

// Thread-safe; calls neither block nor call back from within. Callbacks come on the server's thread. An exchange that is
// dropped without an answer answers with status 500.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual void Respond(Response response) = 0;

  // The answer will be a stream. Nothing is sent before the first piece, so that a failure can still be a status; but after
  // some silence `pulse` is sent, again and again, and the head before it.
  virtual void Stream(Response head, std::string pulse) = 0;
  // `written` is called once: true when the kernel has taken the piece, false when the client has gone. Whoever writes bounds
  // what waits by waiting for it. Nothing is sent for an empty piece.
  virtual void Write(std::string piece, std::function<void(bool)> written) = 0;
  // The stream is whole with this piece.
  virtual void Finish(std::string piece) = 0;
  // The stream has failed: `response` where nothing was sent yet, else `piece` and the connection's end.
  virtual void Fail(Response response, std::string piece) = 0;

  // `gone` is called at most once, if the client leaves before the answer is whole.
  virtual void OnGone(std::function<void()> gone) = 0;
};

using Handler = std::function<void(Request, std::shared_ptr<Exchange>)>;

}  // namespace atoll::router::http
