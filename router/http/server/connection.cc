#include "router/http/server/connection.h"

#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <utility>

#include "base/clock.h"
#include "router/http/server/request_parsing.h"

namespace atoll::router::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;

constexpr size_t kKeptBytes = 16 << 10;      // capacity that a quiet connection may hold on to
constexpr int64_t kLingerMs = 2000;

int64_t NowNs() { return SteadyClock().NowNs(); }

}  // namespace

void Connection::SetDeadline(int64_t ms) { deadline_ns_ = NowNs() + ms * 1000000; }

void Connection::Start() {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
  wrote_ns_ = NowNs();
  BeginRequest();
}

void Connection::BeginRequest() {
  state_ = State::kReading;
  ++number_;
  began_ = header_checked_ = false;
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(host_->limits.header_bytes_max));
  parser_->body_limit(host_->limits.body_bytes_max);
  parser_->eager(true);
  SetDeadline(host_->limits.idle_timeout_ms);
  if (buffer_.empty() && host_->draining) return Close();
  Parse();
}

// One wait is outstanding at most, whatever the state: while an answer is made, it sees the client leave.
void Connection::ArmRead() {
  if (read_pending_ || buffer_.size() > host_->limits.header_bytes_max) return;
  read_pending_ = true;
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](const boost::system::error_code& error) { self->OnReadable(error); });
}

void Connection::OnReadable(const boost::system::error_code& wait_error) {
  read_pending_ = false;
  if (state_ == State::kClosed) return;
  boost::system::error_code error = wait_error;
  const size_t bytes = error ? 0 : socket_.read_some(asio::buffer(host_->scratch), error);
  if (error && error != asio::error::would_block) return OnEnd();
  if (state_ != State::kLingering) buffer_.append(host_->scratch.data(), bytes);
  if (state_ == State::kReading) return Parse();
  ArmRead();
}

void Connection::OnEnd() {
  if (state_ == State::kLastWrite) {
    keep_ = false;  // it may still be reading
  } else {
    Close();
  }
}

void Connection::Parse() {
  while (state_ == State::kReading && !buffer_.empty()) {
    if (!ParseSome()) break;
  }
  if (state_ == State::kReading) ArmRead();
}

// False when more bytes are needed, or the request is whole or refused.
bool Connection::ParseSome() {
  if (!std::exchange(began_, true)) SetDeadline(host_->limits.header_timeout_ms);
  boost::system::error_code error;
  const size_t used = parser_->put(asio::buffer(buffer_), error);
  buffer_.erase(0, used);
  const bool need_more = error == beast::http::error::need_more;
  if (error && !need_more) {
    const WireRefusal refusal = RefusalOf(error, host_->limits);
    Refuse(refusal.status, refusal.sentence);
    return false;
  }
  if (parser_->is_header_done() && !std::exchange(header_checked_, true) && !CheckHeader()) return false;
  if (!AccountBody()) return false;
  if (parser_->is_done()) Handle();
  return used > 0 && !need_more;
}

bool Connection::CheckHeader() {
  const auto& message = parser_->get();
  http_1_0_ = message.version() == 10;
  head_only_ = message.method() == beast::http::verb::head;
  if (const WireRefusal refusal = CheckHead(message); refusal.status != 0) {
    Refuse(refusal.status, refusal.sentence);
    return false;
  }
  SetDeadline(host_->limits.body_timeout_ms);
  if (!parser_->is_done() && ExpectsContinue(message)) {
    out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    Flush();
  }
  return true;
}

bool Connection::AccountBody() {
  const size_t bytes = parser_->get().body().size();
  host_->bodies_bytes += bytes - body_bytes_;
  body_bytes_ = bytes;
  if (host_->bodies_bytes <= host_->limits.bodies_bytes_max) return true;
  Refuse(503, "too many large requests are being read; try again");
  return false;
}

void Connection::Handle() {
  state_ = State::kAnswering;
  host_->bodies_bytes -= std::exchange(body_bytes_, 0);
  keep_ = parser_->keep_alive() && !host_->draining;
  Request request = ToRequest(parser_->release());
  parser_.reset();
  if (buffer_.empty()) std::string().swap(buffer_);
  ArmRead();
  host_->handle(shared_from_this(), number_, std::move(request));
}

void Connection::Refuse(int status, std::string_view sentence) {
  ++host_->bad_requests;
  host_->bodies_bytes -= std::exchange(body_bytes_, 0);
  parser_.reset();
  buffer_.clear();
  state_ = State::kAnswering;
  keep_ = false;
  Respond(number_, host_->error(status, sentence));
}

void Connection::Send(Response response, bool chunked) {
  keep_ = keep_ && !host_->draining && !(chunked && http_1_0_);
  AppendHead(response, {.chunked = chunked && !http_1_0_, .close = !keep_, .http_1_0 = http_1_0_}, out_);
  if (!chunked && !head_only_ && response.status != 204) out_ += response.body;
}

void Connection::Respond(uint64_t number, Response response) {
  if (!IsPresent(number)) return;
  Send(std::move(response), false);
  EndAnswer(keep_);
}

void Connection::Stream(uint64_t number, Response head, std::string pulse) {
  if (!IsPresent(number)) return;
  stream_head_ = std::move(head);
  pulse_ = std::move(pulse);
  wrote_ns_ = NowNs();
}

void Connection::AppendPiece(std::string_view piece) {
  if (stream_head_) {
    Send(*std::move(stream_head_), true);
    stream_head_.reset();
  }
  if (http_1_0_) {
    out_ += piece;
  } else {
    AppendChunk(piece, out_);
  }
}

void Connection::Write(uint64_t number, std::string_view piece, Written written) {
  if (!IsPresent(number)) return written(false);
  if (piece.empty()) return written(true);
  AppendPiece(piece);
  out_written_.push_back(std::move(written));
  Flush();
}

void Connection::Finish(uint64_t number, std::string_view piece) {
  if (!IsPresent(number)) return;
  AppendPiece(piece);
  if (!http_1_0_) out_ += kLastChunk;
  EndAnswer(keep_);
}

void Connection::Fail(uint64_t number, Response response, std::string_view piece) {
  if (!IsPresent(number)) return;
  const bool nothing_sent = stream_head_.has_value();
  if (nothing_sent) return Respond(number, std::move(response));
  AppendPiece(piece);
  if (!http_1_0_) out_ += kLastChunk;
  EndAnswer(false);
}

void Connection::OnGone(uint64_t number, std::function<void()> gone) {
  if (IsPresent(number)) {
    gone_ = std::move(gone);
  } else if (state_ == State::kClosed) {
    gone();
  }
}

void Connection::EndAnswer(bool keep) {
  state_ = State::kLastWrite;
  keep_ = keep;
  gone_ = nullptr;
  stream_head_.reset();
  pulse_.clear();
  Flush();
}

void Connection::Flush() {
  if (write_pending_ || out_.empty() || state_ == State::kClosed) return;
  in_flight_.clear();
  std::swap(out_, in_flight_);
  std::swap(out_written_, in_flight_written_);
  write_pending_ = true;
  wrote_ns_ = NowNs();
  asio::async_write(socket_, asio::buffer(in_flight_), [self = shared_from_this()](const boost::system::error_code& error, size_t) {
    self->OnWritten(error);
  });
}

void Connection::OnWritten(const boost::system::error_code& error) {
  write_pending_ = false;
  wrote_ns_ = NowNs();
  if (in_flight_.capacity() > kKeptBytes) std::string().swap(in_flight_);
  const std::vector<Written> written = std::exchange(in_flight_written_, {});
  const bool ok = !error && state_ != State::kClosed;
  for (const Written& callback : written) callback(ok);
  if (error) return Close();
  if (!out_.empty()) return Flush();
  if (state_ == State::kLastWrite) AfterAnswer();
}

void Connection::AfterAnswer() {
  if (keep_) return BeginRequest();
  // The client may still be sending: a close now would reset the connection and take the answer from it.
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  state_ = State::kLingering;
  SetDeadline(kLingerMs);
  buffer_.clear();
  ArmRead();
}

void Connection::Tick(int64_t now_ns) {
  const auto keep_alive = shared_from_this();
  if (write_pending_) {
    if (now_ns - wrote_ns_ > host_->limits.write_timeout_ms * 1000000) Close();
    return;
  }
  if (state_ == State::kAnswering && !pulse_.empty() && now_ns - wrote_ns_ > host_->limits.pulse_ms * 1000000) {
    AppendPiece(pulse_);
    return Flush();
  }
  if (now_ns < deadline_ns_) return;
  if (state_ == State::kLingering || (state_ == State::kReading && !began_)) return Close();
  if (state_ == State::kReading) Refuse(408, header_checked_ ? "the request's body did not come in time" : "the request's header did not come in time");
}

void Connection::Drain() {
  if (state_ == State::kReading && !began_) Close();
}

void Connection::Close() {
  if (std::exchange(state_, State::kClosed) == State::kClosed) return;
  const auto keep_alive = shared_from_this();
  host_->bodies_bytes -= std::exchange(body_bytes_, 0);
  boost::system::error_code ignored;
  socket_.close(ignored);
  host_->closed(this);
  const std::vector<Written> written = std::exchange(out_written_, {});
  for (const Written& callback : written) callback(false);
  if (const auto gone = std::exchange(gone_, nullptr)) gone();
}

}  // namespace atoll::router::http
