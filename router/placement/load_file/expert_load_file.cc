#include "router/placement/load_file/expert_load_file.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

namespace atoll::router {
namespace {

using Json = nlohmann::json;
constexpr uintmax_t kFileBytesMax = 64u << 20;
constexpr size_t kLayersMax = 4096, kExpertsMax = 65536;

absl::Status Bad(const std::string& path, const std::string& found) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": expected a JSON object with logical_count [layers][experts], counts of 0 or more; found ", found));
}

absl::StatusOr<std::vector<double>> ReadRow(const Json& row, const std::string& path) {
  if (!row.is_array() || row.empty() || row.size() > kExpertsMax) return Bad(path, "a layer that is not a list of counts");
  std::vector<double> counts;
  for (const Json& count : row) {
    if (!count.is_number() || !std::isfinite(count.get<double>()) || count.get<double>() < 0)
      return Bad(path, "a count that is not a number of 0 or more");
    counts.push_back(count.get<double>());
  }
  return counts;
}

absl::StatusOr<std::string> ReadText(const std::string& path) {
  std::error_code error;
  const uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error) return absl::NotFoundError(absl::StrCat(path, ": ", error.message()));
  if (bytes > kFileBytesMax) return Bad(path, absl::StrCat(bytes, " bytes, more than ", kFileBytesMax));
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.is_open() || file.bad()) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  return text;
}

double SumOf(const std::vector<double>& row) { return std::accumulate(row.begin(), row.end(), 0.0); }

}  // namespace

bool ExpertLoads::HasLoad(size_t layer) const { return SumOf(counts[layer]) > 0; }

absl::StatusOr<ExpertLoads> ReadExpertLoads(const std::string& path) {
  ATOLL_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("logical_count")) return Bad(path, "something else");
  const Json* table = &json["logical_count"];
  if (table->is_array() && table->size() == 1 && (*table)[0].is_array() && !(*table)[0].empty() && (*table)[0][0].is_array()) table = &(*table)[0];
  if (!table->is_array() || table->empty() || table->size() > kLayersMax) return Bad(path, "no list of layers");
  ExpertLoads loads{std::filesystem::path(path).filename().string(), {}};
  for (const Json& row : *table) {
    ATOLL_ASSIGN_OR_RETURN(std::vector<double> counts, ReadRow(row, path));
    if (!loads.counts.empty() && counts.size() != loads.counts[0].size()) return Bad(path, "layers of different lengths");
    loads.counts.push_back(std::move(counts));
  }
  return loads;
}

absl::StatusOr<std::vector<ExpertLoads>> ReadExpertLoadFolder(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> paths;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == ".json") paths.push_back(entry->path().string());
  if (error) return absl::NotFoundError(absl::StrCat(folder, ": ", error.message()));
  if (paths.empty()) return absl::NotFoundError(absl::StrCat(folder, ": expected files *.json with expert loads, found none"));
  std::sort(paths.begin(), paths.end());
  std::vector<ExpertLoads> files;
  for (const std::string& path : paths) {
    ATOLL_ASSIGN_OR_RETURN(ExpertLoads loads, ReadExpertLoads(path));
    if (!files.empty() && (loads.counts.size() != files[0].counts.size() || loads.experts() != files[0].experts()))
      return Bad(path, absl::StrCat("another shape than in ", files[0].name));
    files.push_back(std::move(loads));
  }
  return files;
}

ExpertLoads MeanShares(const std::vector<ExpertLoads>& files) {
  ExpertLoads mean{"mean", std::vector(files[0].counts.size(), std::vector<double>(files[0].experts(), 0.0))};
  for (const ExpertLoads& file : files) {
    for (size_t layer = 0; layer < file.counts.size(); ++layer) {
      const double total = SumOf(file.counts[layer]);
      if (total <= 0) continue;
      for (size_t e = 0; e < file.counts[layer].size(); ++e)
        mean.counts[layer][e] += file.counts[layer][e] / total / static_cast<double>(files.size());
    }
  }
  return mean;
}

}  // namespace atoll::router
