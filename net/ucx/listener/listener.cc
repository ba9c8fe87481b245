#include "net/ucx/listener/listener.h"

#include "net/ucx/listener/address.h"
#include "net/ucx/listener/listener_guard.h"

namespace atoll::net {

absl::StatusOr<std::unique_ptr<UcxListener>> UcxListener::Create(UcxWorker& worker, const UcxOptions& options,
                                                                 std::function<void(ucp_conn_request_h)> on_request) {
  const std::string& listen = options.listen_address;
  if ((listen.starts_with("0.0.0.0:") || listen.starts_with("[::]:")) && options.advertise_host.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("data listener on ", listen, ": expected an advertise host that peers can connect to"));
  }
  ATOLL_ASSIGN_OR_RETURN(const SocketAddress address, ResolveAddress(listen));
  std::unique_ptr<UcxListener> listener(new UcxListener(std::move(on_request)));
  ucp_listener_params_t params{};
  params.field_mask = UCP_LISTENER_PARAM_FIELD_SOCK_ADDR | UCP_LISTENER_PARAM_FIELD_CONN_HANDLER;
  params.sockaddr.addr = reinterpret_cast<const sockaddr*>(&address.storage);
  params.sockaddr.addrlen = address.bytes;
  params.conn_handler.arg = listener.get();
  params.conn_handler.cb = [](ucp_conn_request_h request, void* arg) { static_cast<UcxListener*>(arg)->on_request_(request); };
  ucs_status_t status = ucp_listener_create(worker.handle(), &params, &listener->listener_);
  if (status != UCS_OK) return UcxError(absl::StrCat("listening on ", listen).c_str(), status);
  ucp_listener_attr_t attributes{};
  attributes.field_mask = UCP_LISTENER_ATTR_FIELD_SOCKADDR;
  status = ucp_listener_query(listener->listener_, &attributes);
  if (status != UCS_OK) return UcxError("asking the data listener for its port", status);
  ATOLL_RETURN_IF_ERROR(GuardListener(PortOf(attributes.sockaddr)));
  ATOLL_ASSIGN_OR_RETURN(listener->address_, FormatAddress(attributes.sockaddr, options.advertise_host));
  return listener;
}

UcxListener::~UcxListener() {
  if (listener_ != nullptr) ucp_listener_destroy(listener_);
}

void UcxListener::Reject(ucp_conn_request_h request) { (void)ucp_listener_reject(listener_, request); }

}  // namespace atoll::net
