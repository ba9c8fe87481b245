#include "base/metrics/exposition.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/check.h"
#include "base/utf8.h"

namespace atoll::metrics {
namespace {

constexpr std::string_view kOpenMetricsType = "application/openmetrics-text";
constexpr std::string_view kTotal = "_total";

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Cuts off and returns what comes before the separator, or all.
std::string_view CutUntil(char separator, std::string_view& text) {
  const size_t at = text.find(separator);
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at == text.npos ? text.size() : at + 1);
  return Trim(part);
}

// The parameter q of an element of Accept; 1 where there is none, 0 where it is no number.
double Weight(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::string_view parameter = CutUntil(';', parameters);
    if (!parameter.starts_with("q=")) continue;
    double q = 0;
    const std::from_chars_result end = std::from_chars(parameter.data() + 2, parameter.data() + parameter.size(), q);
    return end.ec == std::errc() && q >= 0 && q <= 1 ? q : 0;
  }
  return 1;
}

void AppendEscaped(std::string_view text, std::string& out) {
  for (const char c : text) {
    switch (c) {
      case '\\': out += "\\\\"; break;
      case '"': out += "\\\""; break;
      case '\n': out += "\\n"; break;
      default: out += c;
    }
  }
}

std::string_view TypeName(Type type) {
  switch (type) {
    case Type::kCounter: return "counter";
    case Type::kGauge: return "gauge";
    case Type::kHistogram: return "histogram";
  }
  return "";
}

// As Go and Python write a bound: with a point, which readers of OpenMetrics insist on.
std::string BoundText(double bound) {
  char digits[32];
  const std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, bound, std::chars_format::fixed);
  std::string text(digits, end.ptr);
  return text.find('.') == text.npos ? text + ".0" : text;
}

std::string NumberText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

}  // namespace

TextFormat FormatFor(std::string_view accept) {
  double open_metrics = 0, plain = 0;
  while (!accept.empty()) {
    std::string_view element = CutUntil(',', accept);
    const std::string_view type = CutUntil(';', element);
    const double weight = Weight(element);
    if (type == kOpenMetricsType) open_metrics = std::max(open_metrics, weight);
    if (type == "text/plain" || type == "text/*" || type == "*/*") plain = std::max(plain, weight);
  }
  return open_metrics > 0 && open_metrics >= plain ? TextFormat::kOpenMetrics : TextFormat::kPrometheus;
}

std::string_view ContentType(TextFormat format) {
  return format == TextFormat::kOpenMetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8";
}

void Exposition::Begin(Type type, std::string_view name, std::string_view help) {
  ATOLL_CHECK((type == Type::kCounter) == name.ends_with(kTotal), std::string(name));
  name_ = name;
  std::string_view family = name;
  if (type == Type::kCounter && format_ == TextFormat::kOpenMetrics) family.remove_suffix(kTotal.size());
  text_.append("# HELP ").append(family).append(" ").append(help).append("\n# TYPE ").append(family).append(" ").append(TypeName(type)).append("\n");
}

void Exposition::AppendName(std::string_view suffix, const Labels& labels, std::string_view le) {
  text_.append(name_).append(suffix);
  char before = '{';
  const auto append = [&](std::string_view name, std::string_view value) {
    text_.append(1, before).append(name).append("=\"");
    std::string clean;
    if (AppendReplacingInvalid(value, clean) > 0) clean += kReplacementCharacter;
    AppendEscaped(clean, text_);
    text_ += '"';
    before = ',';
  };
  for (const auto& [name, value] : labels) append(name, value);
  if (!le.empty()) append("le", le);
  if (before == ',') text_ += '}';
  text_ += ' ';
}

void Exposition::SampleText(const Labels& labels, std::string_view value) {
  AppendName("", labels, "");
  text_.append(value).append("\n");
}

void Exposition::Sample(const Labels& labels, double value) { SampleText(labels, NumberText(value)); }

void Exposition::Sample(const Labels& labels, const HistogramSnapshot& histogram) {
  uint64_t below = 0;
  for (size_t i = 0; i < histogram.counts.size(); ++i) {
    below += histogram.counts[i];
    AppendName("_bucket", labels, i < histogram.upper_bounds.size() ? BoundText(histogram.upper_bounds[i]) : "+Inf");
    text_.append(std::to_string(below)).append("\n");
  }
  AppendName("_sum", labels, "");
  text_.append(NumberText(histogram.sum)).append("\n");
  AppendName("_count", labels, "");
  text_.append(std::to_string(below)).append("\n");
}

std::string Exposition::Take() && {
  if (format_ == TextFormat::kOpenMetrics) text_ += "# EOF\n";
  return std::move(text_);
}

}  // namespace atoll::metrics
