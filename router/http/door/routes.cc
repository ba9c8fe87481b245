#include "router/http/door/routes.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/log.h"
#include "router/http/api/api_error.h"

namespace atoll::router::http {
namespace {

constexpr size_t kRequestIdBytesMax = 256;

std::string MintRequestId() {
  static const uint64_t start = (uint64_t{std::random_device()()} << 32) | std::random_device()();
  static std::atomic<uint64_t> next{0};
  return absl::StrFormat("req-%016x-%x", start, next.fetch_add(1));
}

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x21 && c < 0x7F; });
}

constexpr size_t kLoggedPathBytesMax = 200;

// The line of one request in the access log, written when its answer is whole.
class AccessLine {
 public:
  AccessLine(const Request& request, std::string request_id)
      : what_(absl::StrCat(request.method, " ", request.path.substr(0, kLoggedPathBytesMax))), request_id_(std::move(request_id)), begin_(Clock::now()) {}

  void Write(int status) const {
    const LogLevel level = status >= 500 ? LogLevel::kInfo : LogLevel::kDebug;
    if (!Logs(level)) return;
    const int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin_).count();
    LogLine(level, absl::StrCat(what_, " ", status, " in ", ms, " ms"), request_id_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  const std::string what_, request_id_;
  const Clock::time_point begin_;
};

// An exchange whose answers carry headers that its handler does not know of, are counted and leave a line in the access log.
class WithHeaders final : public Exchange {
 public:
  WithHeaders(std::shared_ptr<Exchange> inner, Headers headers, std::shared_ptr<StatusCounts> counts, std::optional<AccessLine> line)
      : inner_(std::move(inner)), headers_(std::move(headers)), counts_(std::move(counts)), line_(std::move(line)) {}
  ~WithHeaders() override { Count(500); }

  void Respond(Response response) override {
    Count(response.status);
    inner_->Respond(Add(std::move(response)));
  }
  void Stream(Response head, std::string pulse) override { inner_->Stream(Add(std::move(head)), std::move(pulse)); }
  void Write(std::string piece, std::function<void(bool)> written) override { inner_->Write(std::move(piece), std::move(written)); }
  void Finish(std::string piece) override {
    Count(200);
    inner_->Finish(std::move(piece));
  }
  void Fail(Response response, std::string piece) override {
    Count(response.status);
    inner_->Fail(Add(std::move(response)), std::move(piece));
  }
  void OnGone(std::function<void()> gone) override {
    inner_->OnGone([gone_before = gone_, gone = std::move(gone)] {
      *gone_before = true;
      gone();
    });
  }

 private:
  void Count(int status) {
    if (counted_.exchange(true)) return;
    const int seen = *gone_ ? kClientGone : status;
    counts_->Add(seen);
    if (line_) line_->Write(seen);
  }
  Response Add(Response response) const {
    response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
    return response;
  }

  const std::shared_ptr<Exchange> inner_;  // shared with the server while it is being answered
  const Headers headers_;
  const std::shared_ptr<StatusCounts> counts_;  // shared with the routes
  const std::shared_ptr<std::atomic<bool>> gone_ = std::make_shared<std::atomic<bool>>(false);  // shared with the callback
  std::atomic<bool> counted_{false};
  const std::optional<AccessLine> line_;
};

}  // namespace

void Routes::Add(const std::string& method, const std::string& path, Handler handler, bool open) {
  Route& route = exact_[path];
  route.open = open;
  route.by_method[method] = {std::move(handler), policy_.counts->Add(path, method)};
}

void Routes::AddAnswer(const std::string& path, std::function<Response(const Request&)> answer, bool open) {
  Add("GET", path, [answer = std::move(answer)](const Request& request, const std::shared_ptr<Exchange>& exchange) { exchange->Respond(answer(request)); }, open);
}

void Routes::AddProbe(const std::string& path, std::function<Response(const Request&)> answer) {
  AddAnswer(path, std::move(answer), true);
  exact_[path].probe = true;
}

void Routes::AddBelow(const std::string& method, const std::string& prefix, Handler handler) {
  below_[prefix].by_method[method] = {std::move(handler), policy_.counts->Add(prefix + "*", method)};
}

const Routes::Route* Routes::Find(const std::string& path) const {
  if (const auto found = exact_.find(path); found != exact_.end()) return &found->second;
  for (const auto& [prefix, route] : below_) {
    if (path.starts_with(prefix)) return &route;
  }
  return nullptr;
}

const Routes::Method* Routes::FindMethod(const Route* route, const std::string& method) const {
  if (route == nullptr) return nullptr;
  const auto found = route->by_method.find(method == "HEAD" ? "GET" : method);
  return found == route->by_method.end() ? nullptr : &found->second;
}

bool Routes::AllowsOrigin(std::string_view origin) const {
  return std::any_of(policy_.allowed_origins.begin(), policy_.allowed_origins.end(),
                     [&](const std::string& allowed) { return allowed == "*" || allowed == origin; });
}

Headers Routes::HeadersFor(const Request& request) const {
  Headers headers;
  const std::string_view id = request.Header("x-request-id");
  const bool usable = !id.empty() && id.size() <= kRequestIdBytesMax && IsPrintable(id);
  headers.emplace_back("X-Request-Id", usable ? std::string(id) : MintRequestId());
  const std::string_view origin = request.Header("origin");
  if (policy_.allowed_origins.empty() || origin.empty()) return headers;
  headers.emplace_back("Vary", "Origin");
  if (AllowsOrigin(origin)) headers.emplace_back("Access-Control-Allow-Origin", std::string(origin));
  return headers;
}

Response Routes::Preflight(const Request& request) const {
  if (!AllowsOrigin(request.Header("origin"))) return ErrorResponse(403, "this origin may not ask here");
  return {.status = 204, .content_type = "",
          .headers = {{"Access-Control-Allow-Methods", "GET, POST"},
                      {"Access-Control-Allow-Headers", "authorization, content-type, x-request-id"},
                      {"Access-Control-Max-Age", "600"}},
          .body = ""};
}

void Routes::Handle(Request request, std::shared_ptr<Exchange> inner) const {
  Headers headers = HeadersFor(request);
  const Route* const route = Find(request.path);
  const Method* const method = FindMethod(route, request.method);
  std::optional<AccessLine> line;
  if (policy_.access_log && (route == nullptr || !route->probe)) line.emplace(request, headers.front().second);
  const auto exchange =
      std::make_shared<WithHeaders>(std::move(inner), std::move(headers), method == nullptr ? other_ : method->counts, std::move(line));
  if (route == nullptr) return exchange->Respond(ErrorResponse(404, "there is nothing at this path"));
  if (request.method == "OPTIONS" && !policy_.allowed_origins.empty()) return exchange->Respond(Preflight(request));
  if (!route->open && !policy_.keys.Allows(request.Header("authorization"))) {
    return exchange->Respond(ErrorResponse(401, "expected a valid API key in the header Authorization: Bearer KEY"));
  }
  if (method == nullptr) {
    Response response = ErrorResponse(405, "this path has another method");
    response.headers.emplace_back("Allow", route->by_method.begin()->first);
    return exchange->Respond(std::move(response));
  }
  if (const std::string_view coding = request.Header("content-encoding"); !coding.empty() && coding != "identity") {
    return exchange->Respond(ErrorResponse(415, "the body must not be compressed"));
  }
  method->handler(std::move(request), exchange);
}

}  // namespace atoll::router::http
