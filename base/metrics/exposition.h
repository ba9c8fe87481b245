#pragma once

// Figures as text that Prometheus reads: its format 0.0.4, or OpenMetrics 1.0.

#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/metrics/histogram.h"

namespace atoll::metrics {

enum class TextFormat { kPrometheus, kOpenMetrics };

// What an HTTP header Accept asks for; Prometheus' own format unless OpenMetrics is preferred.
TextFormat FormatFor(std::string_view accept);
std::string_view ContentType(TextFormat format);

enum class Type { kCounter, kGauge, kHistogram };

// Names and values. Values may be any bytes: what is not UTF-8 becomes U+FFFD.
using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

// Writes one family after the other; owned by one thread.
class Exposition {
 public:
  explicit Exposition(TextFormat format) : format_(format) {}

  // The samples that follow are of this family. A counter's name ends in _total. `help` is one line.
  void Begin(Type type, std::string_view name, std::string_view help);
  template <std::integral Integer>
  void Sample(const Labels& labels, Integer value) {
    SampleText(labels, std::to_string(value));
  }
  void Sample(const Labels& labels, double value);
  void Sample(const Labels& labels, const HistogramSnapshot& histogram);

  // A family of one sample without labels.
  template <typename Value>
  void One(Type type, std::string_view name, std::string_view help, const Value& value) {
    Begin(type, name, help);
    Sample({}, value);
  }

  std::string Take() &&;

 private:
  void SampleText(const Labels& labels, std::string_view value);
  void AppendName(std::string_view suffix, const Labels& labels, std::string_view le);

  const TextFormat format_;
  std::string name_;
  std::string text_;
};

}  // namespace atoll::metrics
