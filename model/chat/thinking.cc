#include "model/chat/thinking.h"

namespace atoll::model {

bool EndsInsideThinking(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return text.ends_with("<think>");
}

}  // namespace atoll::model
