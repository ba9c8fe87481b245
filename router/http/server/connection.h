#pragma once

// One connection: reads requests one after the other, has each answered, writes the answer.

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "router/http/server/limits.h"
#include "router/http/server/message.h"

namespace atoll::router::http {

class Connection;
using RequestParser = boost::beast::http::request_parser<boost::beast::http::string_body>;

// What the connections of a server share. Owned by the server's thread; outlives them.
struct ConnectionHost {
  ServerLimits limits;
  std::function<Response(int status, std::string_view sentence)> error;
  std::function<void(std::shared_ptr<Connection>, uint64_t number, Request)> handle;
  std::function<void(Connection*)> closed;
  size_t bodies_bytes = 0;  // of all requests that are being read
  int64_t bad_requests = 0;
  bool draining = false;
  std::vector<char> scratch = std::vector<char>(64 << 10);  // what is read passes through it
};

// Owned by the server's thread; shared with the reads and writes in flight and with the exchange that it answers. `number`
// tells a connection's requests apart: what is said to an earlier one is not heard.
class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Written = std::function<void(bool)>;

  Connection(Socket socket, ConnectionHost* host) : socket_(std::move(socket)), host_(host) {}

  void Start();
  // Often: enforces deadlines and keeps silent streams alive.
  void Tick(int64_t now_ns);
  // Closes at once where nothing is being answered, else after the answer.
  void Drain();
  void Close();

  // As in Exchange.
  void Respond(uint64_t number, Response response);
  void Stream(uint64_t number, Response head, std::string pulse);
  void Write(uint64_t number, std::string_view piece, Written written);
  void Finish(uint64_t number, std::string_view piece);
  void Fail(uint64_t number, Response response, std::string_view piece);
  void OnGone(uint64_t number, std::function<void()> gone);

 private:
  enum class State { kReading, kAnswering, kLastWrite, kLingering, kClosed };

  bool IsPresent(uint64_t number) const { return state_ == State::kAnswering && number == number_; }
  void BeginRequest();
  void ArmRead();
  void OnReadable(const boost::system::error_code& error);
  void OnEnd();
  void Parse();
  bool ParseSome();
  bool CheckHeader();
  bool AccountBody();
  void Handle();
  void Refuse(int status, std::string_view sentence);
  void Send(Response response, bool chunked);
  void AppendPiece(std::string_view piece);
  void EndAnswer(bool keep);
  void Flush();
  void OnWritten(const boost::system::error_code& error);
  void AfterAnswer();
  void SetDeadline(int64_t ms);

  Socket socket_;
  ConnectionHost* const host_;
  State state_ = State::kReading;
  int64_t deadline_ns_ = 0;
  std::string buffer_;  // read and not yet parsed
  std::optional<RequestParser> parser_;
  bool read_pending_ = false;
  bool began_ = false;  // the present request's first byte has come
  bool header_checked_ = false;
  size_t body_bytes_ = 0;  // of the present request, as accounted in the host

  uint64_t number_ = 0;  // of the present request
  bool keep_ = true;     // the connection, after the present answer
  bool http_1_0_ = false;
  bool head_only_ = false;
  std::optional<Response> stream_head_;  // until it is sent
  std::string pulse_;
  std::function<void()> gone_;

  std::string out_;  // waits for the write in flight
  std::vector<Written> out_written_;
  std::string in_flight_;
  std::vector<Written> in_flight_written_;
  bool write_pending_ = false;
  int64_t wrote_ns_ = 0;  // when a write began or ended last
};

}  // namespace atoll::router::http
