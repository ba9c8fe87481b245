#include "router/http/server/server.h"

#include <sys/resource.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/log.h"
#include "router/http/server/connection.h"
#include "router/http/server/listen_address.h"

namespace atoll::router::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::chrono::milliseconds kTick{100};
constexpr int kSendBufferBytes = 256 << 10;  // of the kernel; bounds what a slow client makes it hold

// The server's thread as exchanges see it, which may outlive the server.
struct Core {
  // Not told that one thread runs it: it would then put off what this thread posts, and what another one posts later would
  // come before, a stream's first piece before its head.
  asio::io_context io;
  std::mutex mutex;
  bool stopped = false;  // guarded by mutex: nothing runs any more

  void Post(std::function<void()> work) {
    std::lock_guard lock(mutex);
    if (!stopped) asio::post(io, std::move(work));
  }
};

class ConnectionExchange final : public Exchange {
 public:
  // The core is shared with the server, the connection with its own reads and writes.
  ConnectionExchange(std::shared_ptr<Core> core, std::shared_ptr<Connection> connection, uint64_t number, Response if_dropped)
      : core_(std::move(core)), connection_(std::move(connection)), number_(number), if_dropped_(std::move(if_dropped)) {}
  ~ConnectionExchange() override {
    if (!answered_) Respond(std::move(if_dropped_));
    core_->Post([connection = std::move(connection_)] {});  // a connection dies on its own thread
  }

  void Respond(Response response) override {
    answered_ = true;
    Post([response = std::move(response)](Connection& c, uint64_t n) mutable { c.Respond(n, std::move(response)); });
  }
  void Stream(Response head, std::string pulse) override {
    Post([head = std::move(head), pulse = std::move(pulse)](Connection& c, uint64_t n) mutable { c.Stream(n, std::move(head), std::move(pulse)); });
  }
  void Write(std::string piece, std::function<void(bool)> written) override {
    Post([piece = std::move(piece), written = std::move(written)](Connection& c, uint64_t n) mutable { c.Write(n, piece, std::move(written)); });
  }
  void Finish(std::string piece) override {
    answered_ = true;
    Post([piece = std::move(piece)](Connection& c, uint64_t n) { c.Finish(n, piece); });
  }
  void Fail(Response response, std::string piece) override {
    answered_ = true;
    Post([response = std::move(response), piece = std::move(piece)](Connection& c, uint64_t n) mutable { c.Fail(n, std::move(response), piece); });
  }
  void OnGone(std::function<void()> gone) override {
    Post([gone = std::move(gone)](Connection& c, uint64_t n) mutable { c.OnGone(n, std::move(gone)); });
  }

 private:
  template <typename Work>
  void Post(Work work) {
    core_->Post([connection = connection_, number = number_, work = std::move(work)]() mutable { work(*connection, number); });
  }

  const std::shared_ptr<Core> core_;
  std::shared_ptr<Connection> connection_;
  const uint64_t number_;
  Response if_dropped_;
  std::atomic<bool> answered_{false};
};

class ServerImpl final : public Server {
 public:
  ServerImpl(ServerOptions options, Handler handler) : options_(std::move(options)), handler_(std::move(handler)) {
    host_.limits = options_.limits;
    host_.error = options_.error;
    host_.handle = [this](std::shared_ptr<Connection> connection, uint64_t number, Request request) {
      Response dropped = options_.error(500, "the request was dropped; this is an error of the server");
      handler_(std::move(request), std::make_shared<ConnectionExchange>(core_, std::move(connection), number, std::move(dropped)));
    };
    host_.closed = [this](Connection* connection) {
      connections_.erase(connection);
      connections_now_ = static_cast<int64_t>(connections_.size());
    };
  }
  ~ServerImpl() override { Shutdown(std::chrono::milliseconds(0)); }

  absl::Status Listen() {
    ATOLL_ASSIGN_OR_RETURN(const ListenAddress address, ListenAddress::Parse(options_.listen, options_.option));
    boost::system::error_code error;
    const tcp::endpoint endpoint = ResolveLocal(address, core_->io, error);
    if (!error) acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(1024, error);
    if (error) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", options_.listen, " (", error.message(),
                                                 "): expected a free HOST:PORT of this machine; choose another with ", options_.option));
    }
    address_ = absl::StrCat(address.host_text, ":", acceptor_.local_endpoint(error).port());
    return absl::OkStatus();
  }

  void Run() {
    Accept();
    Tick();
    thread_ = std::thread([this] { core_->io.run(); });
  }

  const std::string& address() const override { return address_; }
  ServerTotals totals() const override { return {connections_now_, accepted_, refused_, bad_}; }

  void Shutdown(std::chrono::milliseconds grace) override {
    if (!thread_.joinable()) return;
    asio::post(core_->io, [this] { Drain(); });
    std::unique_lock lock(end_mutex_);
    end_changed_.wait_for(lock, grace, [this] { return drained_; });
    lock.unlock();
    asio::post(core_->io, [this] { End(); });
    thread_.join();
    {
      std::lock_guard stop(core_->mutex);
      core_->stopped = true;
    }
    // What closed connections still have to say.
    core_->io.restart();
    core_->io.poll();
  }

 private:
  using Connections = std::unordered_map<Connection*, std::shared_ptr<Connection>>;

  void Accept() {
    acceptor_.async_accept([this](const boost::system::error_code& error, tcp::socket socket) {
      if (host_.draining) return;
      if (error) return;  // no descriptor is left, for example: Tick tries again
      Take(std::move(socket));
      accepting_ = false;
      Accept();
    });
    accepting_ = true;
  }

  void Take(tcp::socket socket) {
    boost::system::error_code ignored;
    ++accepted_;
    if (connections_.size() >= options_.limits.connections_max) return TurnAway(std::move(socket));
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::send_buffer_size(kSendBufferBytes), ignored);
    const auto connection = std::make_shared<Connection>(std::move(socket), &host_);
    connections_.emplace(connection.get(), connection);
    connections_now_ = static_cast<int64_t>(connections_.size());
    connection->Start();
  }

  // A new socket takes a short answer at once.
  void TurnAway(tcp::socket socket) {
    ++refused_;
    const Response response = options_.error(503, absl::StrCat("the server has ", connections_.size(), " connections, which is its maximum; try again"));
    std::string out;
    AppendHead(response, {.close = true}, out);
    out += response.body;
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(out), ignored);
  }

  void Tick() {
    const int64_t now_ns = SteadyClock().NowNs();
    std::vector<std::shared_ptr<Connection>> connections;
    for (const auto& [key, connection] : connections_) connections.push_back(connection);
    for (const auto& connection : connections) connection->Tick(now_ns);
    bad_ = host_.bad_requests;
    if (host_.draining) SayIfDrained();
    if (!accepting_ && !host_.draining) Accept();
    timer_.expires_after(kTick);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) Tick();
    });
  }

  void Drain() {
    host_.draining = true;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    const Connections connections = connections_;
    for (const auto& [key, connection] : connections) connection->Drain();
    SayIfDrained();
  }

  void SayIfDrained() {
    if (!connections_.empty()) return;
    std::lock_guard lock(end_mutex_);
    drained_ = true;
    end_changed_.notify_all();
  }

  void End() {
    timer_.cancel();
    const Connections connections = connections_;
    for (const auto& [key, connection] : connections) connection->Close();
    core_->io.stop();
  }

  const ServerOptions options_;
  const Handler handler_;
  const std::shared_ptr<Core> core_ = std::make_shared<Core>();
  tcp::acceptor acceptor_{core_->io};
  asio::steady_timer timer_{core_->io};
  std::string address_;
  ConnectionHost host_;
  Connections connections_;  // of the server's thread
  bool accepting_ = false;   // of the server's thread
  std::atomic<int64_t> connections_now_{0};
  std::atomic<int64_t> accepted_{0};
  std::atomic<int64_t> refused_{0};
  std::atomic<int64_t> bad_{0};
  std::mutex end_mutex_;
  std::condition_variable end_changed_;
  bool drained_ = false;  // guarded by end_mutex_
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(ServerOptions options, Handler handler) {
  auto server = std::make_unique<ServerImpl>(std::move(options), std::move(handler));
  ATOLL_RETURN_IF_ERROR(server->Listen());
  server->Run();
  return server;
}

size_t RaiseOpenFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace atoll::router::http
