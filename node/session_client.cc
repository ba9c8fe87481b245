#include "node/session_client.h"

#include <algorithm>

#include "atoll/v1/session.grpc.pb.h"
#include "net/grpc/channel.h"
#include "net/grpc/status_map.h"

namespace atoll::node {
namespace {

v1::OpenSessionRequest ToProto(const SessionRequest& request) {
  v1::OpenSessionRequest proto;
  proto.set_caller_node_id(request.caller_node_id);
  proto.set_caller_incarnation(request.caller_incarnation);
  proto.set_callee_incarnation(request.callee_incarnation);
  proto.set_epoch(request.epoch);
  proto.set_model_fingerprint(request.terms.model_fingerprint);
  proto.set_hidden_size(request.terms.limits.hidden_size);
  proto.set_activation_dtype(DTypeName(request.terms.limits.row_dtype));
  return proto;
}

absl::StatusOr<net::SessionTicket> ToTicket(const v1::OpenSessionResponse& proto, const SessionRequest& request,
                                            const std::string& control_address) {
  net::SessionTicket ticket;
  if (proto.mac_key().size() != ticket.mac_key.size())
    return absl::InternalError(absl::StrCat("the node at ", control_address, " answered OpenSession with a key of ",
                                            proto.mac_key().size(), " bytes, expected ", ticket.mac_key.size()));
  std::transform(proto.mac_key().begin(), proto.mac_key().end(), ticket.mac_key.begin(),
                 [](char c) { return static_cast<std::byte>(c); });
  ticket.data_address = proto.data_address();
  ticket.listener_name = control_address;
  ticket.session = proto.session_id();
  ticket.incarnation = proto.incarnation();
  ticket.terms = request.terms;
  ticket.terms.numerics_fingerprint = proto.numerics_fingerprint();
  ticket.terms.window = proto.credits();
  ticket.terms.limits.part_bytes = proto.part_bytes_max();
  ticket.terms.limits.rows_max = proto.rows_max();
  ticket.terms.limits.pairs_max = proto.pairs_max();
  ATOLL_RETURN_IF_ERROR(net::CheckTerms(ticket.terms));
  return ticket;
}

}  // namespace

absl::StatusOr<net::SessionTicket> OpenSession(const std::string& control_address, const SessionRequest& request,
                                               std::chrono::milliseconds timeout) {
  const auto stub = v1::SessionService::NewStub(net::MakeChannel(control_address));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  v1::OpenSessionResponse response;
  const grpc::Status status = stub->OpenSession(&context, ToProto(request), &response);
  if (!status.ok()) return net::FromGrpcStatus(status);
  return ToTicket(response, request, control_address);
}

}  // namespace atoll::node
