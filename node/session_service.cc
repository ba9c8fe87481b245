#include "node/session_service.h"

#include "atoll/v1/session.grpc.pb.h"
#include "net/grpc/status_map.h"
#include "net/link.h"

namespace atoll::node {
namespace {

absl::StatusOr<SessionRequest> FromProto(const v1::OpenSessionRequest& proto) {
  SessionRequest request;
  ATOLL_ASSIGN_OR_RETURN(const DType dtype, ParseActivationDType(proto.activation_dtype()));
  request.caller_node_id = proto.caller_node_id();
  request.caller_incarnation = proto.caller_incarnation();
  request.callee_incarnation = proto.callee_incarnation();
  request.epoch = proto.epoch();
  request.terms.model_fingerprint = proto.model_fingerprint();
  request.terms.limits.hidden_size = proto.hidden_size();
  request.terms.limits.row_dtype = dtype;
  request.terms.limits.result_dtype = dtype;
  return request;
}

void ToProto(const net::SessionTicket& ticket, v1::OpenSessionResponse* proto) {
  proto->set_data_address(ticket.data_address);
  proto->set_session_id(ticket.session);
  proto->set_incarnation(ticket.incarnation);
  proto->set_mac_key(ticket.mac_key.data(), ticket.mac_key.size());
  proto->set_part_bytes_max(ticket.terms.limits.part_bytes);
  proto->set_credits(ticket.terms.window);
  proto->set_rows_max(ticket.terms.limits.rows_max);
  proto->set_pairs_max(ticket.terms.limits.pairs_max);
  proto->set_numerics_fingerprint(ticket.terms.numerics_fingerprint);
  proto->set_handshake_ms(net::LinkHostOptions{}.handshake_timeout_ms);
}

class SessionServiceImpl final : public v1::SessionService::CallbackService {
 public:
  explicit SessionServiceImpl(SessionMinter* minter) : minter_(minter) {}

  grpc::ServerUnaryReactor* OpenSession(grpc::CallbackServerContext* context, const v1::OpenSessionRequest* request,
                                        v1::OpenSessionResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(net::ToGrpcStatus(Answer(*request, response)));
    return reactor;
  }

 private:
  absl::Status Answer(const v1::OpenSessionRequest& proto, v1::OpenSessionResponse* response) {
    ATOLL_ASSIGN_OR_RETURN(const SessionRequest request, FromProto(proto));
    ATOLL_ASSIGN_OR_RETURN(const net::SessionTicket ticket, minter_->Mint(request));
    ToProto(ticket, response);
    return absl::OkStatus();
  }

  SessionMinter* const minter_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeSessionService(SessionMinter* minter) {
  return std::make_unique<SessionServiceImpl>(minter);
}

}  // namespace atoll::node
