// How fast text becomes ids, and back, on one thread.
//   tokenizer_bench MODEL_DIR TEXT_FILE [IDS_FILE]
// Prints the best of several runs over the whole file in MB/s; writes the ids, one a line, for a comparison from outside
// (side_by_side.py does it against Hugging Face tokenizers).

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "model/tokenizer/folder_tokenizer.h"

namespace atoll::model {
namespace {

constexpr int kRuns = 7;

std::string ReadFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

template <typename Work>
double BestSeconds(int runs, Work work) {
  double best = 1e9;
  for (int run = 0; run < runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

int Run(const char* model_directory, const char* text_file, const char* ids_file) {
  absl::StatusOr<FolderTokenizer> folder = absl::InternalError("not loaded");
  const double load_seconds = BestSeconds(1, [&] { folder = FolderTokenizer::Load(model_directory, {}); });
  const absl::StatusOr<const Tokenizer*> tokenizer = folder.ok() ? folder->ForText() : folder.status();
  if (!tokenizer.ok()) return std::fprintf(stderr, "%s\n", std::string(tokenizer.status().message()).c_str()), 1;
  const std::string text = ReadFile(text_file);
  absl::StatusOr<std::vector<int32_t>> ids;
  const double encode_seconds = BestSeconds(kRuns, [&] { ids = (*tokenizer)->Encode(text, AddedTokens::kMatch); });
  if (!ids.ok()) return std::fprintf(stderr, "%s\n", std::string(ids.status().message()).c_str()), 1;
  std::string decoded;
  const double decode_seconds = BestSeconds(kRuns, [&] { decoded = *(*tokenizer)->Decode(*ids, SpecialTokens::kKeep); });
  const double megabytes = static_cast<double>(text.size()) / 1e6;
  std::printf("load_s %.3f encode_mb_s %.2f decode_mb_s %.2f ids %zu round_trip %s\n", load_seconds, megabytes / encode_seconds,
              megabytes / decode_seconds, ids->size(), decoded == text ? "equal" : "DIFFERENT");
  if (ids_file != nullptr) {
    std::ofstream file(ids_file);
    for (const int32_t id : *ids) file << id << '\n';
  }
  return decoded == text ? 0 : 1;
}

}  // namespace
}  // namespace atoll::model

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: tokenizer_bench MODEL_DIR TEXT_FILE [IDS_FILE]\n"), 2;
  return atoll::model::Run(argv[1], argv[2], argc > 3 ? argv[3] : nullptr);
}
