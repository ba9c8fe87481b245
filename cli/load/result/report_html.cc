#include "absl/strings/str_replace.h"
#include "cli/load/result/report.h"
#include "cli/load/result/report_assets.h"

namespace atoll::load {

std::string ReportHtml(const std::string& report_json) {
  // "</" would end the script element that holds the JSON; "<\/" is the same string to a JSON parser.
  const std::string safe = absl::StrReplaceAll(report_json, {{"</", "<\\/"}, {"<!--", "<\\u0021--"}});
  return absl::StrReplaceAll(kReportPage, {{"@PLOTS@", kPlotsScript}, {"@REPORT@", safe}});
}

}  // namespace atoll::load
