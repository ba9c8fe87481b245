#pragma once

// Random checkpoints of any shape of the family, for tests and benchmarks: weights in the format that
// quantization_config names, scaled so that activations stay finite and the gate spreads its choice. Written tensor by
// tensor, so that memory stays small whatever the model's size.

#include <cstdint>
#include <string>

#include "base/status.h"
#include "model/load_progress.h"

namespace atoll::model {

struct MakeOptions {
  std::string config_json;                   // becomes config.json as it is
  std::string out_dir;                       // made when missing; must be empty
  uint64_t seed = 0;                         // a tensor's values depend on seed and name alone
  uint64_t shard_bytes_max = 1'000'000'000;  // one file when all fits; a larger tensor gets a file of its own
  LoadProgressSink progress = {};            // called a few times per second of work
};

// Writes the weights (the MTP layer's too, without its copies of embedding and head), then config.json and
// generation_config.json; no tokenizer. Errors: InvalidArgument (config), AlreadyExists (out_dir is not empty),
// ResourceExhausted (no room on the disk), Unavailable (a write failed).
absl::Status MakeCheckpoint(const MakeOptions& options);

}  // namespace atoll::model
