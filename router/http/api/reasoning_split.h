#pragma once

// The text of a model that thinks aloud: what comes before </think> is reasoning, the rest the answer.

#include <string>
#include <string_view>
#include <vector>

#include "router/request/stop_matcher.h"

namespace atoll::router::http {

// Of one choice; owned by one thread at a time. The result depends on the text alone, not on how it was cut into pieces.
class ReasoningSplit {
 public:
  // Appends to the two what is certain of `text`: a beginning of the tag waits for its end.
  void Append(std::string_view text, std::string& reasoning, std::string& content);
  // The text is over.
  void Flush(std::string& reasoning);

 private:
  StopMatcher tag_{std::vector<std::string>{"</think>"}};
  bool answers_ = false;
};

}  // namespace atoll::router::http
