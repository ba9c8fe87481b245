// Any bytes as a chat template: refused, or rendered within bounds.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "model/chat/jinja/evaluator.h"
#include "model/chat/jinja/parser.h"

namespace atoll::model::jinja {
namespace {

Map Globals() {
  const auto text = [](std::string_view bytes) { return Value::Of(Text::Of(bytes, Origin::kData)); };
  List messages;
  for (const char* role : {"system", "user", "assistant", "tool"}) {
    messages.push_back(Value::Of(Map{{"role", text(role)}, {"content", text("<think>a</think>b")}}));
  }
  return {{"messages", Value::Of(messages)}, {"bos_token", text("<s>")}, {"eos_token", text("</s>")}, {"add_generation_prompt", Value::Of(true)}};
}

}  // namespace
}  // namespace atoll::model::jinja

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace atoll::model::jinja;
  const auto body = ParseTemplate(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!body.ok()) return 0;
  const EvaluationLimits limits{.steps_max = 20'000, .bytes_made_max = 1 << 20};
  const auto rendered = Render(*body, Globals(), limits);
  if (!rendered.ok()) return 0;
  ATOLL_CHECK(rendered->bytes.size() == rendered->origins.size(), "every byte has an origin");
  ATOLL_CHECK(rendered->bytes.size() <= limits.bytes_made_max, "the bound holds");
  return 0;
}
