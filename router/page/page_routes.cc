#include "router/page/page_routes.h"

#include "absl/strings/str_cat.h"
#include "router/page/site_files.h"

namespace atoll::router::page {
namespace {

// Nothing from elsewhere, nothing inline, and no string ever becomes markup or script.
constexpr char kContentPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

std::string_view ContentType(std::string_view name) {
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return "text/html; charset=utf-8";
}

http::Response FileResponse(const SiteFile& file) {
  return {.status = 200,
          .content_type = std::string(ContentType(file.name)),
          .headers = {{"Content-Security-Policy", kContentPolicy},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cross-Origin-Opener-Policy", "same-origin"},
                      {"Cross-Origin-Resource-Policy", "same-origin"},
                      {"Cache-Control", "no-cache"}},
          .body = std::string(file.content)};
}

}  // namespace

void AddPageRoutes(PageFeed* feed, http::Routes& routes) {
  for (const SiteFile& file : SiteFiles()) {
    const std::string path = file.name == "index.html" ? "/" : absl::StrCat("/page/", std::string(file.name));
    routes.AddAnswer(path, [&file](const http::Request&) { return FileResponse(file); }, /*open=*/true);
  }
  routes.Add("GET", "/page/feed", [feed](const http::Request& request, std::shared_ptr<http::Exchange> exchange) {
    if (request.method == "HEAD") return exchange->Respond({.status = 200, .content_type = "text/event-stream", .headers = {}, .body = ""});
    feed->Watch(std::move(exchange));
  });
}

}  // namespace atoll::router::page
