#include "cli/load/http/http_load_client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <array>
#include <limits>
#include <thread>

#include "cli/load/http/openai_messages.h"
#include "cli/load/http/sse_reader.h"
#include "cli/load/running_calls.h"

namespace atoll::load {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;

constexpr std::chrono::seconds kConnectTime{5}, kAskTime{10};
constexpr size_t kBodyBytesMax = 64 << 20;
constexpr size_t kErrorBytesMax = 64 << 10;

using Endpoints = tcp::resolver::results_type;
using Request = http::request<http::string_body>;

Request MakeRequest(http::verb verb, const std::string& path, const std::string& host, const std::string& api_key) {
  Request request(verb, path, 11);
  request.set(http::field::host, host);
  request.set(http::field::user_agent, "atoll-load");
  request.set(http::field::content_type, "application/json");
  if (!api_key.empty()) request.set(http::field::authorization, "Bearer " + api_key);
  return request;
}

// What the calls of one target share: where to, and connections that are open and idle. Owned by the target; used by its one
// input thread alone.
struct Line {
  asio::io_context io{1};
  std::string host, api_key, model;
  Endpoints endpoints;
  std::vector<std::unique_ptr<beast::tcp_stream>> idle;
};

// One streamed request. Shared by the list of running calls and by its operations in flight, each of which holds it until its
// handler has run.
class HttpCall final : public std::enable_shared_from_this<HttpCall> {
 public:
  HttpCall(const LoadCall& call, Line& line, LoadListener* listener, RunningCalls<HttpCall>* running)
      : index_(call.index), line_(line), listener_(listener), running_(running) {
    HttpRequestText text = StreamRequest(call, line.model);
    request_ = MakeRequest(http::verb::post, text.path, line.host, line.api_key);
    request_.set("X-Request-Id", call.request_id);
    request_.body() = std::move(text.body);
    request_.prepare_payload();
    parser_.body_limit(std::numeric_limits<uint64_t>::max());  // none at all refuses every body with a length in Boost 1.74
  }

  void Begin() {
    if (line_.idle.empty()) return Connect();
    stream_ = std::move(line_.idle.back());
    line_.idle.pop_back();
    reused_ = true;
    Send();
  }

  // Any thread.
  void Cancel() {
    asio::post(line_.io, [self = shared_from_this()] {
      self->cancelled_ = true;
      if (self->stream_) self->stream_->close();
    });
  }

 private:
  void Connect() {
    reused_ = false;
    stream_ = std::make_unique<beast::tcp_stream>(line_.io);
    stream_->expires_after(kConnectTime);
    stream_->async_connect(line_.endpoints, [self = shared_from_this()](beast::error_code error, const tcp::endpoint&) {
      if (error) return self->Broken("connecting", error);
      beast::error_code ignored;
      self->stream_->socket().set_option(tcp::no_delay(true), ignored);
      self->stream_->expires_never();
      self->Send();
    });
  }

  void Send() {
    http::async_write(*stream_, request_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (error) return self->Unanswered("sending", error);
      http::async_read_header(*self->stream_, self->buffer_, self->parser_, [self](beast::error_code read_error, size_t) {
        if (read_error) return self->Unanswered("reading the answer", read_error);
        self->Read();
      });
    });
  }

  // As much of the body as is there.
  void Read() {
    if (parser_.is_done()) return Finish();
    parser_.get().body().data = chunk_.data();
    parser_.get().body().size = chunk_.size();
    parser_.get().body().more = true;
    http::async_read_some(*stream_, buffer_, parser_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (error == http::error::need_buffer) error = {};
      if (error) return self->Broken("reading the answer", error);
      if (self->Take({self->chunk_.data(), self->chunk_.size() - self->parser_.get().body().size})) self->Read();
    });
  }

  // False where the call is over.
  bool Take(std::string_view bytes) {
    if (parser_.get().result() != http::status::ok) {
      refusal_.append(bytes.substr(0, kErrorBytesMax - std::min(kErrorBytesMax, refusal_.size())));
      return true;
    }
    bool wanted = true;
    const bool readable = events_.Feed(bytes, [&](std::string_view data) {
      const int64_t tokens = answer_.OnEvent(data);
      if (tokens > 0 && wanted) wanted = listener_->OnTokens(index_, tokens);
    });
    if (readable && wanted) return true;
    stream_->close();
    cancelled_ = !wanted;
    Broken("reading the answer", http::error::body_limit);
    return false;
  }

  void Finish() {
    const unsigned status = parser_.get().result_int();
    if (parser_.keep_alive() && !cancelled_) line_.idle.push_back(std::move(stream_));
    End(status == 200 ? answer_.End() : RefusedEnd(status, refusal_));
  }

  // A server may close an idle connection just as it is used again: that says nothing of this request, which gets a new one.
  void Unanswered(const char* doing, beast::error_code error) {
    if (reused_ && !cancelled_ && !parser_.got_some()) return Connect();
    Broken(doing, error);
  }

  void Broken(const char* doing, beast::error_code error) {
    if (cancelled_) return End({.ok = false, .code = "CANCELLED", .message = "this client closed the connection"});
    CallEnd end = answer_.End();  // what was counted until then
    end.ok = false;
    end.code = "CONNECTION";
    end.message = absl::StrCat(doing, ": ", error.message());
    End(end);
  }

  void End(const CallEnd& end) {
    listener_->OnEnd(index_, end);
    (void)running_->Remove(index_);
  }

  const uint64_t index_;
  Line& line_;
  LoadListener* const listener_;
  RunningCalls<HttpCall>* const running_;
  std::unique_ptr<beast::tcp_stream> stream_;
  Request request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::buffer_body> parser_;
  std::array<char, 16384> chunk_;
  SseReader events_;
  StreamAnswer answer_;
  std::string refusal_;
  bool cancelled_ = false, reused_ = false;
};

class HttpTarget final : public LoadTarget {
 public:
  HttpTarget(const std::string& address, Endpoints endpoints, const std::string& api_key) {
    line_.host = address;
    line_.api_key = api_key;
    line_.endpoints = std::move(endpoints);
    thread_ = std::thread([this] { line_.io.run(); });
  }
  ~HttpTarget() override {
    running_.CancelAllAndWait();
    work_.reset();
    line_.io.stop();
    thread_.join();
  }

  absl::StatusOr<TargetFacts> Describe() override {
    ATOLL_ASSIGN_OR_RETURN(const std::string body, Ask(http::verb::get, "/v1/models", ""));
    ATOLL_ASSIGN_OR_RETURN(const std::string model, ModelOf(body));
    asio::post(line_.io, [this, model] { line_.model = model; });
    TargetFacts facts{.model = model, .vocabulary_size = 0, .has_tokenizer = true, .nodes = {}};
    return facts;
  }

  absl::StatusOr<std::vector<int32_t>> Tokenize(const std::string& text) override {
    ATOLL_ASSIGN_OR_RETURN(const std::string body, Ask(http::verb::post, "/tokenize", TokenizeBody(text)));
    return TokensOf(body);
  }

  absl::StatusOr<std::vector<std::pair<std::string, int64_t>>> Counters() override { return std::vector<std::pair<std::string, int64_t>>{}; }

  void Start(const LoadCall& call, LoadListener* listener) override {
    auto started = std::make_shared<HttpCall>(call, line_, listener, &running_);
    running_.Add(call.index, started);
    asio::post(line_.io, [started = std::move(started)] { started->Begin(); });
  }
  void Cancel(uint64_t index) override { running_.Cancel(index); }

 private:
  // One request and its whole answer, on a connection of its own.
  absl::StatusOr<std::string> Ask(http::verb verb, const std::string& path, std::string body);

  Line line_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{line_.io.get_executor()};
  RunningCalls<HttpCall> running_;
  std::thread thread_;
};

absl::StatusOr<std::string> HttpTarget::Ask(http::verb verb, const std::string& path, std::string body) {
  asio::io_context io;
  beast::tcp_stream stream(io);
  Request request = MakeRequest(verb, path, line_.host, line_.api_key);
  request.body() = std::move(body);
  request.prepare_payload();
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kBodyBytesMax);
  beast::error_code failure;
  stream.expires_after(kAskTime);
  stream.async_connect(line_.endpoints, [&](beast::error_code error, const tcp::endpoint&) {
    if ((failure = error)) return;
    http::async_write(stream, request, [&](beast::error_code write_error, size_t) {
      if ((failure = write_error)) return;
      http::async_read(stream, buffer, parser, [&](beast::error_code read_error, size_t) { failure = read_error; });
    });
  });
  io.run();
  if (failure) return absl::UnavailableError(absl::StrCat("http://", line_.host, path, ": ", failure.message()));
  if (parser.get().result() != http::status::ok) {
    const CallEnd end = RefusedEnd(parser.get().result_int(), parser.get().body());
    return absl::UnavailableError(absl::StrCat("http://", line_.host, path, ": expected 200, found ", parser.get().result_int(), ": ", end.message));
  }
  return parser.get().body();
}

}  // namespace

absl::StatusOr<std::unique_ptr<LoadTarget>> MakeHttpTarget(const std::string& address, const std::string& api_key) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return absl::InvalidArgumentError(absl::StrCat("--address: expected http://HOST:PORT, found http://", address));
  asio::io_context io;
  tcp::resolver resolver(io);
  beast::error_code error;
  const Endpoints endpoints = resolver.resolve(address.substr(0, colon), address.substr(colon + 1), error);
  if (error) return absl::UnavailableError(absl::StrCat("--address: no host for ", address, ": ", error.message()));
  return std::make_unique<HttpTarget>(address, endpoints, api_key);
}

}  // namespace atoll::load
