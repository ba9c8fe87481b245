// `atoll tokenize` and `atoll detokenize`: standard input to standard output, with the tokenizer files of a folder alone.

#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/str_join.h"
#include "base/options.h"
#include "cli/command.h"
#include "cli/generate_options.h"
#include "model/tokenizer/folder_tokenizer.h"

namespace atoll::cli {
namespace {

absl::StatusOr<model::FolderTokenizer> LoadForText(const std::string& folder) {
  ATOLL_ASSIGN_OR_RETURN(model::FolderTokenizer loaded, model::FolderTokenizer::Load(folder, {}));
  ATOLL_RETURN_IF_ERROR(loaded.ForText().status());
  return loaded;
}

std::string ReadStandardInput() { return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()}; }

}  // namespace

int RunTokenize(int argc, const char* const* argv) {
  std::string model;
  bool json = false, no_specials = false;
  Options options({"atoll tokenize", "Turns all of standard input into token ids; adds no BOS.",
                   "  printf 'Once upon a time' | atoll tokenize --model checkpoints/tales --json\n", 1});
  options.String("--model", &model, "folder with tokenizer.json");
  options.Require("--model");
  options.Flag("--json", &json, "one object {\"ids\": [...]}");
  options.Flag("--no-specials", &no_specials, "added tokens in the text are plain text");
  if (const int code = options.Parse(argc, argv); code >= 0) return code;
  const auto tokenizer = LoadForText(model);
  if (!tokenizer.ok()) return ReportError(tokenizer.status());
  const auto ids = tokenizer->tokenizer()->Encode(ReadStandardInput(), no_specials ? model::AddedTokens::kPlainText : model::AddedTokens::kMatch);
  if (!ids.ok()) return ReportError(ids.status());
  if (json) std::cout << nlohmann::json{{"ids", *ids}}.dump() << "\n";
  else std::cout << absl::StrJoin(*ids, " ") << "\n";
  return std::cout.flush().good() ? 0 : 1;
}

int RunDetokenize(int argc, const char* const* argv) {
  std::string model;
  Options options({"atoll detokenize", "Turns token ids on standard input, apart by spaces or commas, into text.",
                   "  echo 3576 622 261 580 | atoll detokenize --model checkpoints/tales\n", 1});
  options.String("--model", &model, "folder with tokenizer.json");
  options.Require("--model");
  if (const int code = options.Parse(argc, argv); code >= 0) return code;
  const auto tokenizer = LoadForText(model);
  if (!tokenizer.ok()) return ReportError(tokenizer.status());
  const std::string input = ReadStandardInput();
  if (input.find_first_not_of(", \t\r\n") == std::string::npos) return 0;
  const auto ids = ParseTokenIds(input, "standard input");
  if (!ids.ok()) return ReportError(ids.status());
  const auto text = tokenizer->tokenizer()->Decode(*ids, model::SpecialTokens::kKeep);
  if (!text.ok()) return ReportError(text.status());
  std::cout << *text;
  return std::cout.flush().good() ? 0 : 1;
}

}  // namespace atoll::cli
