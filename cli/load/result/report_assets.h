#pragma once

// report_page.html and plots.js, put into the program at build time.

namespace atoll::load {

extern const char* const kReportPage;
extern const char* const kPlotsScript;

}  // namespace atoll::load
