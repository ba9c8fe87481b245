// How requests to an HTTP port are counted, over a fake connection.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/http/door/routes.h"

namespace atoll::router::http {
namespace {

using testing::ElementsAre;

class FakeExchange final : public Exchange {
 public:
  void Respond(Response) override {}
  void Stream(Response, std::string) override {}
  void Write(std::string, std::function<void(bool)>) override {}
  void Finish(std::string) override {}
  void Fail(Response, std::string) override {}
  void OnGone(std::function<void()> gone) override { leave = std::move(gone); }

  std::function<void()> leave;
};

class HttpCountsTest : public testing::Test {
 protected:
  void Ask(const std::string& method, const std::string& path, const std::shared_ptr<FakeExchange>& exchange = std::make_shared<FakeExchange>()) {
    routes_.Handle({.method = method, .path = path, .query = "", .headers = {}, .body = ""}, exchange);
  }
  // "HANDLER METHOD STATUS COUNT" of all that were counted.
  std::vector<std::string> Counted() const {
    std::vector<std::string> counted;
    for (const RequestCounts::Entry& entry : counts_->entries()) {
      for (const StatusCounts::Row& row : entry.counts->Rows()) {
        if (row.count > 0) counted.push_back(entry.handler + " " + entry.method + " " + std::to_string(row.status) + " " + std::to_string(row.count));
      }
    }
    return counted;
  }

  const std::shared_ptr<RequestCounts> counts_ = std::make_shared<RequestCounts>();  // shared with the routes
  Routes routes_{DoorPolicy{.keys = {}, .allowed_origins = {}, .counts = counts_}};
};

TEST_F(HttpCountsTest, CountsByRouteMethodAndStatus) {
  routes_.AddAnswer("/a", [](const Request&) { return Response{.status = 200, .content_type = "", .headers = {}, .body = ""}; });
  routes_.AddBelow("GET", "/b/", [](const Request&, const std::shared_ptr<Exchange>& exchange) { exchange->Respond({.status = 503, .content_type = "", .headers = {}, .body = ""}); });
  for (const char* path : {"/a", "/a", "/b/one", "/b/two", "/c"}) Ask("GET", path);
  Ask("HEAD", "/a");
  Ask("POST", "/a");
  EXPECT_THAT(Counted(), ElementsAre("other other 404 1", "other other 405 1", "/a GET 200 3", "/b/* GET 503 2"));
}

TEST_F(HttpCountsTest, AStreamCountsAsWhatItEndedWith) {
  std::shared_ptr<Exchange> kept;
  routes_.Add("POST", "/s", [&](const Request&, std::shared_ptr<Exchange> exchange) {
    exchange->Stream({.status = 200, .content_type = "", .headers = {}, .body = ""}, "");
    kept = std::move(exchange);
  });
  Ask("POST", "/s");
  kept->Write("x", [](bool) {});
  EXPECT_TRUE(Counted().empty());
  kept->Finish("");
  kept.reset();
  Ask("POST", "/s");
  kept->Fail({.status = 504, .content_type = "", .headers = {}, .body = ""}, "");
  kept.reset();
  EXPECT_THAT(Counted(), ElementsAre("/s POST 200 1", "/s POST 504 1"));
}

TEST_F(HttpCountsTest, AClientThatLeftAndAHandlerThatForgotAreCountedToo) {
  std::shared_ptr<Exchange> kept;
  routes_.Add("POST", "/s", [&](const Request&, std::shared_ptr<Exchange> exchange) {
    exchange->OnGone([] {});
    kept = std::move(exchange);
  });
  const auto leaving = std::make_shared<FakeExchange>();
  Ask("POST", "/s", leaving);
  leaving->leave();
  kept->Fail({.status = 500, .content_type = "", .headers = {}, .body = ""}, "");
  kept.reset();
  Ask("POST", "/s");
  kept.reset();
  EXPECT_THAT(Counted(), ElementsAre("/s POST 499 1", "/s POST 500 1"));
}

}  // namespace
}  // namespace atoll::router::http
