#include "router/http/api/reasoning_split.h"

namespace atoll::router::http {

void ReasoningSplit::Append(std::string_view text, std::string& reasoning, std::string& content) {
  while (!answers_ && !text.empty()) {
    answers_ = tag_.Append(text.substr(0, 1), reasoning);
    text.remove_prefix(1);
  }
  content += text;
}

void ReasoningSplit::Flush(std::string& reasoning) {
  if (!answers_) tag_.Flush(reasoning);
}

}  // namespace atoll::router::http
