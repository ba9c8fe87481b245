#pragma once

// Which sequences take part in the next step, with how many rows. A pure function over plain structs: no clock, thread
// or memory; attention_node/core.cc applies what it decides.
//
// Rules, in this order:
//  1. Decode rows (one row missing) of running sequences, the one that waited longest first, so that they take turns
//     where the budget is smaller than their number. While prompts are being computed, a quarter of the budget is kept
//     for them, so that neither kind starves; what they leave goes to decode rows that need no new page.
//  2. Chunks of running sequences that have several positions to compute, oldest first.
//  3. Waiting sequences, oldest first and never past one that does not fit: admitted while a seat, rows and pages for
//     all their known positions are there, and nobody was preempted in this step.
// A decode row that needs a page when none is free preempts the youngest running sequence (possibly its own), which
// starts over later from its tokens (same output: promise P1). The oldest running sequence is never preempted for
// another one, so it always moves on: with requests refused that can never fit (FitsEver) nothing waits for ever.

#include <cstdint>
#include <span>
#include <vector>

namespace atoll::attention_node {

struct BatchLimits {
  int32_t rows_max = 0;       // rows of one step
  int32_t sequences_max = 0;  // running sequences
  int32_t pages_free = 0;
};

// What the batcher sees of a sequence.
struct BatchCandidate {
  int32_t known = 0;       // positions whose token is known
  int32_t computed = 0;    // positions whose keys are in the pages; less than `known`
  int32_t pages = 0;       // pages held
  bool running = false;    // else waiting: computed == pages == 0
  int64_t last_step = 0;   // step of its last row; orders the turns
};

struct BatchShare {
  int32_t sequence = 0;   // index into the candidates
  int32_t row_count = 0;  // positions computed .. computed + row_count
  int32_t new_pages = 0;  // to allocate before the step
};

struct BatchDecision {
  std::vector<int32_t> preempted;  // their pages are freed first; they wait again
  std::vector<BatchShare> shares;  // oldest first; a waiting sequence in here is admitted by it

  void Clear() { preempted.clear(), shares.clear(); }
};

// `candidates` from the oldest (by arrival) to the youngest. `decision` is reused storage.
void ChooseBatch(std::span<const BatchCandidate> candidates, const BatchLimits& limits, BatchDecision& decision);

// True where a sequence of `positions_max` positions can run in a pool of `page_count` pages, alone if need be.
bool FitsEver(int64_t positions_max, int32_t page_count);

}  // namespace atoll::attention_node
