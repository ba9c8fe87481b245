#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace atoll::kernels {

// What a sequence's past adds to sampling: which tokens its prompt held and how often each was generated. Copyable, so that a draft
// can be tried on a copy. Needed (and worth filling) only where SamplingParams::HasPenalties(). Thread-compatible.
class RowState {
 public:
  struct Entry {
    int32_t token = 0;
    int32_t generated = 0;     // times among the generated tokens; 0: in the prompt only
  };

  void AddPrompt(std::span<const int32_t> tokens);
  void AddGenerated(int32_t token);
  std::span<const Entry> entries() const { return entries_; }   // ascending by token

 private:
  std::vector<Entry> entries_;
};

}  // namespace atoll::kernels
