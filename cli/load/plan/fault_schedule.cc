#include "cli/load/plan/fault_schedule.h"

#include <algorithm>
#include <string_view>

#include "cli/load/plan/duration.h"

namespace atoll::load {

absl::StatusOr<std::vector<Fault>> ParseFaults(const std::vector<std::string>& items) {
  if (items.size() > kFaultsMax) return absl::InvalidArgumentError(absl::StrCat("--at: expected at most ", kFaultsMax, " commands, found ", items.size()));
  std::vector<Fault> faults;
  for (const std::string& item : items) {
    const size_t space = item.find(' ');
    const size_t command = item.find_first_not_of(' ', space);
    if (space == std::string::npos || command == std::string::npos)
      return absl::InvalidArgumentError(absl::StrCat("--at: expected a time and a command, for example --at 10s 'kill -9 4711', found '", item.substr(0, 60), "'"));
    ATOLL_ASSIGN_OR_RETURN(const int64_t at_ns, ParseDurationNs(std::string_view(item).substr(0, space), "--at"));
    faults.push_back({at_ns, item.substr(command)});
  }
  std::stable_sort(faults.begin(), faults.end(), [](const Fault& a, const Fault& b) { return a.at_ns < b.at_ns; });
  return faults;
}

std::vector<std::string> JoinFaultWords(int argc, const char* const* argv) {
  std::vector<std::string> words;
  for (int i = 0; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--at" && i + 2 < argc && std::string_view(argv[i + 1]).find(' ') == std::string_view::npos) {
      words.push_back(absl::StrCat("--at=", argv[i + 1], " ", argv[i + 2]));
      i += 2;
    } else {
      words.emplace_back(argv[i]);
    }
  }
  return words;
}

}  // namespace atoll::load
