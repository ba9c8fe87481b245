#pragma once

// Expert loads in the form in which SGLang's users publish them and other systems dump them: a JSON object with
// `logical_count` [layers][experts] (or one such table inside a list of one). Layers without any load are dense ones.

#include <string>
#include <vector>

#include "base/status.h"

namespace atoll::router {

struct ExpertLoads {
  std::string name;                         // of the file
  std::vector<std::vector<double>> counts;  // [layers][experts], 0 or more and finite; all rows equally long

  bool HasLoad(size_t layer) const;
  int64_t experts() const { return counts.empty() ? 0 : static_cast<int64_t>(counts[0].size()); }
};

// INVALID_ARGUMENT or NOT_FOUND with the file's name for anything else than described above, or over 64 MB.
absl::StatusOr<ExpertLoads> ReadExpertLoads(const std::string& path);
// Every *.json of a folder by name, at least one, all of one shape.
absl::StatusOr<std::vector<ExpertLoads>> ReadExpertLoadFolder(const std::string& folder);

// Each file's share of every expert in its layer, averaged: files of any length count alike.
ExpertLoads MeanShares(const std::vector<ExpertLoads>& files);

}  // namespace atoll::router
