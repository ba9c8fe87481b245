#include "net/ucx/ucx_host.h"
#include "net/ucx/ucx_transport.h"
#include "tests/net/link_suite_cases.h"

namespace atoll::net {
namespace {

class UcxTestNetwork final : public TestNetwork {
 public:
  explicit UcxTestNetwork(UcxTransports transports) : transports_(transports) {}
  std::unique_ptr<LinkHost> Open(const LinkHostOptions& options, LinkHandler& handler) override {
    auto host = OpenUcxHost(options, {.transports = transports_}, handler);
    if (!host.ok()) ADD_FAILURE() << host.status();
    return host.ok() ? *std::move(host) : nullptr;
  }
  std::unique_ptr<Transport> OpenTransport(const std::string&) override {
    auto transport = UcxTransport::Create({.transports = transports_});
    return transport.ok() ? *std::move(transport) : nullptr;
  }

 private:
  UcxTransports transports_;
};

const auto kKinds = testing::Values(NetworkKind{"tcp", [] { return std::make_unique<UcxTestNetwork>(UcxTransports::kTcp); }},
                                         NetworkKind{"shm", [] { return std::make_unique<UcxTestNetwork>(UcxTransports::kShm); }});
std::string KindName(const testing::TestParamInfo<NetworkKind>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Ucx, LinkSuite, kKinds, KindName);
INSTANTIATE_TEST_SUITE_P(Ucx, HostileSuite, kKinds, KindName);

}  // namespace
}  // namespace atoll::net
