#pragma once

// Turns prompts and laws into requests. Request i of a seed is the same whatever came before it. Thread-compatible.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/load/plan/lengths.h"
#include "cli/load/plan/prompt.h"

namespace atoll::load {

struct WorkloadOptions {
  // Absent: prompts are sent whole. Present: so many token ids of `corpus`, from a place drawn per request.
  std::optional<LengthLaw> prompt_tokens{};
  // Absent: what the prompt's entry says, else 64.
  std::optional<LengthLaw> output_tokens{};
  bool shuffle = true;  // draw an entry per request; otherwise in the order of the file
  bool as_chat = false;  // texts become one user message
  bool ignore_eos = true;
  double temperature = 1;
  double cancel_share = 0;  // share of requests whose client goes away in mid-stream
  uint64_t seed = 0;
  std::string run_id{};  // prefix of the request ids
};

class Workload {
 public:
  // `prompts` is not empty; `corpus` is not empty where token ids are to be made.
  Workload(WorkloadOptions options, std::vector<Prompt> prompts, std::vector<int32_t> corpus);

  LoadCall Call(uint64_t index) const;

  // True where Call needs a corpus.
  static bool NeedsCorpus(const WorkloadOptions& options, const std::vector<Prompt>& prompts);

 private:
  cli::IdsInput Ids(int64_t length, Random& random) const;

  const WorkloadOptions options_;
  const std::vector<Prompt> prompts_;
  const std::vector<int32_t> corpus_;
};

}  // namespace atoll::load
