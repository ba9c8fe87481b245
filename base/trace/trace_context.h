#pragma once

// Which span of which trace something belongs to, as W3C Trace Context writes it (https://www.w3.org/TR/trace-context/).
// Plain values.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace atoll::trace {

using TraceId = std::array<uint8_t, 16>;
using SpanId = std::array<uint8_t, 8>;

inline constexpr uint8_t kSampledFlag = 1;
inline constexpr size_t kContextBytes = 25;

struct TraceContext {
  TraceId trace_id{};
  SpanId span_id{};
  uint8_t flags = 0;

  // Of no trace: either id is zero.
  bool empty() const { return trace_id == TraceId{} || span_id == SpanId{}; }
  bool sampled() const { return (flags & kSampledFlag) != 0 && !empty(); }
  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

// Nothing for a value that the specification calls invalid. Versions above 00 are read as far as 00 goes.
std::optional<TraceContext> ParseTraceparent(std::string_view text);
std::string Traceparent(const TraceContext& context);

// Trace id, span id, flags; all zero for an empty one.
std::array<std::byte, kContextBytes> ToBytes(const TraceContext& context);
TraceContext FromBytes(const std::array<std::byte, kContextBytes>& bytes);

}  // namespace atoll::trace
