#include "router/vllm/tokenizer_bundle.h"

#include <openssl/sha.h>

#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "model/files/verified_file.h"
#include "router/vllm/stored_zip.h"

namespace atoll::router {
namespace {

constexpr uint64_t kFileBytesMax = uint64_t{64} << 20;  // of one file, as for the router's own tokenizer
constexpr const char* kFiles[] = {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "config.json", "generation_config.json"};

std::string Sha256Hex(const std::string& bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()));
  return absl::BytesToHexString(digest);
}

}  // namespace

absl::StatusOr<TokenizerBundle> MakeTokenizerBundle(const std::string& directory) {
  if (!model::VerifiedFile::Exists(directory, kFiles[0])) {
    return absl::UnimplementedError("the model's folder has no tokenizer.json: it is served by token ids alone");
  }
  std::vector<ZipEntry> entries;
  for (const char* name : kFiles) {
    if (!model::VerifiedFile::Exists(directory, name)) continue;
    ATOLL_ASSIGN_OR_RETURN(std::string bytes, model::ReadSmallFile(directory, name, kFileBytesMax));
    entries.push_back({.name = name, .bytes = std::move(bytes)});
  }
  TokenizerBundle bundle{.archive = StoredZip(entries), .sha256 = {}};
  bundle.sha256 = Sha256Hex(bundle.archive);
  return bundle;
}

}  // namespace atoll::router
