#pragma once

// Methods that take one request, strictly: a call that sends two ends with UNIMPLEMENTED, as gRPC's rules of cardinality want. The
// library's own handlers answer the first request and never look at what follows. So a method is registered as a stream here (on the
// wire they are the same), and its reactor reads until the client has said that no more comes.

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/support/byte_buffer.h>

#include <functional>
#include <string>
#include <utility>

#include "base/status.h"
#include "net/grpc/status_map.h"

namespace atoll::net {

// Owns itself; gRPC calls it. Reactions come one at a time, but for OnCancel.
template <typename Request, typename Response>
class SingleRequestReactor : public grpc::ServerBidiReactor<grpc::ByteBuffer, Response> {
 public:
  SingleRequestReactor() { this->StartRead(&bytes_); }
  void OnDone() override { delete this; }

 protected:
  // The one request, which lives as long as this. From here on the call is the subclass's to write to and to finish. Called for a
  // call that was cancelled meanwhile, too.
  virtual void OnRequest(const Request& request) = 0;

 private:
  void OnReadDone(bool ok) final {
    if (!ok && has_request_) return OnRequest(request_);
    if (!ok) return this->Finish({grpc::INVALID_ARGUMENT, "expected one request, found none"});
    if (has_request_) return this->Finish({grpc::UNIMPLEMENTED, "this method takes one request, found a second one"});
    if (!grpc::SerializationTraits<Request>::Deserialize(&bytes_, &request_).ok()) {
      return this->Finish({grpc::INVALID_ARGUMENT, "the request cannot be read as the message that this method takes"});
    }
    has_request_ = true;
    this->StartRead(&bytes_);
  }

  grpc::ByteBuffer bytes_;
  Request request_;
  bool has_request_ = false;
};

// Fills the response, then calls `done` once, on any thread; request and response live until then.
template <typename Request, typename Response>
using UnaryHandler = std::function<void(const Request&, Response&, std::function<void(const absl::Status&)> done)>;

template <typename Request, typename Response>
class UnaryReactor final : public SingleRequestReactor<Request, Response> {
 public:
  explicit UnaryReactor(const UnaryHandler<Request, Response>& handler) : handler_(handler) {}

 private:
  void OnRequest(const Request& request) override {
    handler_(request, response_, [this](const absl::Status& status) {
      if (!status.ok()) return this->Finish(ToGrpcStatus(status));
      this->StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
    });
  }

  const UnaryHandler<Request, Response>& handler_;  // the service's
  Response response_;
};

// A service of such methods; `method` is "/package.Service/Method", a literal.
class SingleRequestService : public grpc::Service {
 protected:
  template <typename Request, typename Response>
  void Add(const char* method, std::function<SingleRequestReactor<Request, Response>*(grpc::CallbackServerContext*)> make) {
    AddMethod(new grpc::internal::RpcServiceMethod(method, grpc::internal::RpcMethod::BIDI_STREAMING, nullptr));
    MarkMethodCallback(methods_++, new grpc::internal::CallbackBidiHandler<grpc::ByteBuffer, Response>(std::move(make)));
  }
  template <typename Request, typename Response>
  void AddUnary(const char* method, UnaryHandler<Request, Response> handler) {
    Add<Request, Response>(method, [handler = std::move(handler)](grpc::CallbackServerContext*) {
      return new UnaryReactor<Request, Response>(handler);
    });
  }

 private:
  int methods_ = 0;
};

}  // namespace atoll::net
