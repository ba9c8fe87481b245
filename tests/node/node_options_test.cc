#include "node/node_options.h"

#include <gmock/gmock.h>

#include "node/process.h"

namespace atoll::node {
namespace {

using ::testing::HasSubstr;

TEST(NodeOptionsTest, DefaultsMakeANodeOfThisMachine) {
  const auto settings = ReadNodeOptions({}, Role::kAttention);
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->node_id, "attention-" + HostName());
  EXPECT_EQ(settings->isa, kernels::DetectIsa());
  EXPECT_EQ(settings->activation_dtype, DType::kBF16);
  EXPECT_EQ(settings->ucx.listen_address, "127.0.0.1:0");
  EXPECT_EQ(settings->ucx.advertise_host, "127.0.0.1");
  EXPECT_EQ(settings->links.name, settings->node_id);
  EXPECT_EQ(settings->links.incarnation, settings->incarnation);
  EXPECT_EQ(settings->links.peer_silence_ms, 500);
}

TEST(NodeOptionsTest, TheAdvertisedHostIsOneThatOthersReach) {
  EXPECT_EQ(AdvertisedAddress({}, "127.0.0.1:7"), "127.0.0.1:7");
  EXPECT_EQ(AdvertisedAddress({.advertise = "host-3"}, "0.0.0.0:7"), "host-3:7");
  EXPECT_EQ(AdvertisedAddress({}, "0.0.0.0:7"), HostName() + ":7");
  EXPECT_EQ(AdvertisedAddress({}, "[::]:7"), HostName() + ":7");
  const auto settings = ReadNodeOptions({.listen = "0.0.0.0:50", .data_listen = "10.0.0.1", .advertise = "host-3"}, Role::kExpert);
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->ucx.listen_address, "10.0.0.1:0");
  EXPECT_EQ(settings->ucx.advertise_host, "host-3");
}

TEST(NodeOptionsTest, SaysWhichOptionIsWrong) {
  const auto error = [](NodeOptions options) { return std::string(ReadNodeOptions(options, Role::kExpert).status().message()); };
  EXPECT_THAT(error({.listen = "nonsense"}), HasSubstr("--listen must be HOST:PORT"));
  EXPECT_THAT(error({.transport = "pigeon"}), HasSubstr("--transport"));
  EXPECT_THAT(error({.isa = "avx9"}), HasSubstr("--isa"));
  EXPECT_THAT(error({.activation_dtype = "int8"}), HasSubstr("int8"));
}

TEST(NodeOptionsTest, TheIdentityNamesBackEndAndType) {
  const auto settings = ReadNodeOptions({.node_id = "n", .isa = "reference", .activation_dtype = "float32"}, Role::kExpert);
  ASSERT_TRUE(settings.ok());
  const NodeIdentity identity = IdentityOf(*settings, "h:1");
  EXPECT_EQ(identity.node_id, "n");
  EXPECT_EQ(identity.control_address, "h:1");
  EXPECT_EQ(identity.backend, "cpu reference");
  EXPECT_EQ(identity.activation_dtype, "float32");
  EXPECT_EQ(identity.incarnation, settings->incarnation);
}

}  // namespace
}  // namespace atoll::node
