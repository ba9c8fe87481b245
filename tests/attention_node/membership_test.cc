#include "attention_node/control/membership.h"

#include <gtest/gtest.h>

namespace atoll::attention_node {
namespace {

TEST(SharesHost, ComparesHostsOfLivingNodes) {
  node::ClusterView view;
  view.expert_nodes = {{"a", 1, "10.0.0.2:7100", 1, true}, {"b", 1, "10.0.0.1:7100", 1, false}};
  EXPECT_FALSE(SharesHost(view, "10.0.0.1:9"));
  EXPECT_TRUE(SharesHost(view, "10.0.0.2:9"));
  view.expert_nodes[1].alive = true;
  EXPECT_TRUE(SharesHost(view, "10.0.0.1:9"));
  EXPECT_FALSE(SharesHost({}, "10.0.0.1:9"));
}

}  // namespace
}  // namespace atoll::attention_node
