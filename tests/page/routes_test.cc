// The page and its feed on a real router with fake nodes.

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "absl/strings/str_cat.h"
#include "router/page/site_files.h"
#include "tests/http/raw_client.h"
#include "tests/router/router_fixture.h"

namespace atoll::router {
namespace {

using http::RawClient;
using http::StatusOf;
using Json = nlohmann::json;

class PageTest : public RouterFixture {
 protected:
  std::string Get(const std::string& path, const std::string& headers = "") {
    RawClient client(app_->http_address());
    client.Send(absl::StrCat("GET ", path, " HTTP/1.0\r\n", headers, "\r\n"));
    return client.ReadAll();
  }
  static std::string BodyOf(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }
};

TEST_F(PageTest, ServesThePageWithAStrictPolicy) {
  StartRouter();
  const std::string page = Get("/");
  EXPECT_EQ(StatusOf(page), 200);
  for (const char* header : {"Content-Type: text/html; charset=utf-8\r\n", "default-src 'none'", "script-src 'self'", "frame-ancestors 'none'",
                             "require-trusted-types-for 'script'", "X-Content-Type-Options: nosniff"}) {
    EXPECT_NE(page.find(header), std::string::npos) << header;
  }
  EXPECT_EQ(page.find("unsafe"), std::string::npos);
}

// The page's own files name each other by paths that are there, and nothing elsewhere.
TEST_F(PageTest, EveryFileThatIsNamedIsServed) {
  StartRouter();
  std::set<std::string> paths;
  const std::regex reference(R"re((?:href|src)="(/[^"#]*)"|from '\./([a-z_]+\.js)')re");
  for (const page::SiteFile& file : page::SiteFiles()) {
    const std::string text(file.content);
    EXPECT_FALSE(text.empty()) << file.name;
    for (std::sregex_iterator found(text.begin(), text.end(), reference), end; found != end; ++found) {
      paths.insert((*found)[1].matched ? (*found)[1].str() : "/page/" + (*found)[2].str());
    }
    for (const char* elsewhere : {"https://", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", " style=", " onclick="}) {
      EXPECT_EQ(text.find(elsewhere), std::string::npos) << file.name << " has " << elsewhere;
    }
  }
  EXPECT_GT(paths.size(), 15u);
  for (const std::string& path : paths) EXPECT_EQ(StatusOf(Get(path)), 200) << path;
  EXPECT_EQ(StatusOf(Get("/page/secret.js")), 404);
}

TEST_F(PageTest, TheFeedShowsTheCluster) {
  BringUp();
  RawClient client(app_->http_address());
  client.Send("GET /page/feed HTTP/1.0\r\n\r\n");
  const std::string text = client.ReadUntil("event: cluster");
  EXPECT_NE(text.find("text/event-stream"), std::string::npos);
  const std::string all = client.ReadUntil("\"view_epoch\"");
  EXPECT_NE(all.find("event: placement\ndata: {\"epoch\":"), std::string::npos) << all;
  for (const char* id : {"\"id\":\"e1\"", "\"id\":\"e2\"", "\"id\":\"a1\"", "\"state\":\"ready\""}) EXPECT_NE(all.find(id), std::string::npos) << id << " in " << all;
  client.Forget();
  e2_->End();
  const std::string later = client.ReadUntil("e2 is lost");
  EXPECT_NE(later.find("e2 is lost"), std::string::npos) << later;
}

TEST_F(PageTest, TheFeedNeedsTheKeyAndThePageDoesNot) {
  const std::string file = absl::StrCat("/tmp/atoll_page_keys_", getpid());
  std::ofstream(file) << "open-sesame\n";
  RouterConfig config = Config();
  config.http.api_key_file = file;
  StartRouter(config);
  unlink(file.c_str());
  EXPECT_EQ(StatusOf(Get("/")), 200);
  EXPECT_EQ(StatusOf(Get("/page/main.js")), 200);
  EXPECT_EQ(StatusOf(Get("/page/feed")), 401);
  EXPECT_EQ(StatusOf(Get("/page/feed", "Authorization: Bearer no\r\n")), 401);
  RawClient client(app_->http_address());
  client.Send("GET /page/feed HTTP/1.0\r\nAuthorization: Bearer open-sesame\r\n\r\n");
  EXPECT_EQ(StatusOf(client.ReadUntil("event: cluster")), 200);
}

TEST_F(PageTest, WatchersDoNotHoldUpTheEnd) {
  StartRouter();
  RawClient client(app_->http_address());
  client.Send("GET /page/feed HTTP/1.0\r\n\r\n");
  client.ReadUntil("event: cluster");
  app_->Shutdown();
  EXPECT_NE(client.ReadAll().find("event: end\n"), std::string::npos);
  EXPECT_TRUE(client.closed());
}

TEST_F(PageTest, HeadOfTheFeedIsAHead) {
  StartRouter();
  RawClient client(app_->http_address());
  client.Send("HEAD /page/feed HTTP/1.0\r\n\r\n");
  EXPECT_EQ(StatusOf(client.ReadAll()), 200);
  EXPECT_EQ(BodyOf(client.ReadAll()), "");
}

}  // namespace
}  // namespace atoll::router
