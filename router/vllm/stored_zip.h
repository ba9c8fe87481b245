#pragma once

// A zip archive whose entries are stored as they are. Equal entries give equal bytes: no entry carries a time.

#include <string>
#include <vector>

namespace atoll::router {

struct ZipEntry {
  std::string name;  // ASCII
  std::string bytes;
};

// All entries together must have less than 1 GiB.
std::string StoredZip(const std::vector<ZipEntry>& entries);

}  // namespace atoll::router
