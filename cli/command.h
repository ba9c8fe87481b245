#pragma once

// The subcommands of `atoll`. Each returns the process's exit status: 0, 1 for a failure or a refused value, 2 for a
// wrong command line.

#include <string>

#include "base/status.h"

namespace atoll::cli {

int RunUp(int argc, const char* const* argv);
int RunGenerate(int argc, const char* const* argv);
int RunChat(int argc, const char* const* argv);
int RunStatus(int argc, const char* const* argv);
int RunTokenize(int argc, const char* const* argv);
int RunDetokenize(int argc, const char* const* argv);
int RunPlacement(int argc, const char* const* argv);
int RunBalanceSim(int argc, const char* const* argv);
// Also 1 when a request hung, or when all were refused or failed.
int RunLoad(int argc, const char* const* argv);
int RunModel(int argc, const char* const* argv);

// "error: UNAVAILABLE: message" as one line on standard error; returns 1.
int ReportError(const absl::Status& status);

}  // namespace atoll::cli
