#pragma once

// The page's files, put into the program at build time: router/page/site and the plots that it shares with `atoll load`.

#include <span>
#include <string_view>

namespace atoll::router::page {

struct SiteFile {
  std::string_view name;  // without a folder
  std::string_view content;
};

std::span<const SiteFile> SiteFiles();

}  // namespace atoll::router::page
