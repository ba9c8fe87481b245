// `atoll model inspect DIR` and `atoll model make`.

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>

#include "base/options.h"
#include "cli/command.h"
#include "model/checkpoint.h"
#include "model/inspect.h"
#include "model/make.h"

namespace atoll::cli {
namespace {

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.is_open() || file.bad()) return absl::NotFoundError(absl::StrCat("--config: cannot read ", path));
  return text;
}

int Inspect(int argc, const char* const* argv) {
  const bool has_folder = argc > 1 && argv[1][0] != '-';
  Options options({"atoll model inspect", "Says what a checkpoint holds and what each role would need in memory.",
                   "  atoll model inspect checkpoints/tales\n", 1});
  if (const int code = options.Parse(has_folder ? argc - 1 : argc, has_folder ? argv + 1 : argv); code >= 0) return code;
  if (!has_folder) return std::cerr << "atoll model inspect: expected a folder; see atoll model inspect --help\n", 2;
  const auto checkpoint = model::Checkpoint::Open(argv[1]);
  if (!checkpoint.ok()) return ReportError(checkpoint.status());
  std::cout << model::InspectCheckpoint(**checkpoint) << std::flush;
  return 0;
}

int Make(int argc, const char* const* argv) {
  std::string config, out;
  int64_t seed = 0;
  Options options({"atoll model make", "Writes a random checkpoint of any shape of the family, in the dtype that its config names.",
                   "  atoll model make --config config.json --out DIR --seed 1\n", 1});
  options.String("--config", &config, "config.json of the model");
  options.String("--out", &out, "folder to write, made where it is missing");
  options.Int("--seed", &seed, {0, INT64_MAX}, "same seed, same weights");
  options.Require("--config");
  options.Require("--out");
  if (const int code = options.Parse(argc, argv); code >= 0) return code;
  const auto config_json = ReadWhole(config);
  if (!config_json.ok()) return ReportError(config_json.status());
  model::MakeOptions make{*config_json, out, static_cast<uint64_t>(seed)};
  const bool terminal = isatty(STDERR_FILENO) != 0;
  if (terminal) make.progress = [](const model::LoadProgress& progress) { std::fprintf(stderr, "\r%s ", progress.ToString().c_str()); };
  const absl::Status made = model::MakeCheckpoint(make);
  if (terminal) std::fprintf(stderr, "\n");
  if (!made.ok()) return ReportError(made);
  std::cout << out << std::endl;
  return 0;
}

}  // namespace

int RunModel(int argc, const char* const* argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "inspect") return Inspect(argc - 1, argv + 1);
  if (what == "make") return Make(argc - 1, argv + 1);
  (what == "--help" || what == "-h" ? std::cout : std::cerr)
      << "atoll model: inspects a checkpoint or makes a random one.\n\n"
         "  atoll model inspect checkpoints/tales\n"
         "  atoll model make --config config.json --out DIR --seed 1\n\n"
         "atoll model inspect --help and atoll model make --help say more\n";
  return what == "--help" || what == "-h" ? 0 : 2;
}

}  // namespace atoll::cli
