#pragma once

// Opens links to the expert nodes that the newest view calls alive and that have none: a control call for a ticket, then
// the connection. Tries again, every `retry_ms`, for as long as the view wants them. Owns a thread; thread-safe.

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "attention_node/expert_client.h"
#include "node/session.h"

namespace atoll::attention_node {

struct PeerConnectorOptions {
  node::SessionRequest caller;  // this node and its terms
  int64_t retry_ms = 100;
  int64_t call_timeout_ms = 1000;
};

class PeerConnector {
 public:
  // `client` outlives it.
  PeerConnector(PeerConnectorOptions options, ExpertClient& client);
  ~PeerConnector();

  // A new view came: look at once.
  void Notify();

 private:
  void Loop();
  void Open(const node::ExpertPeer& peer);

  const PeerConnectorOptions options_;
  ExpertClient& client_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool notified_ = false;  // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::map<std::string, std::string> last_error_;  // by node id: logged once; connector's thread only
  std::thread thread_;
};

}  // namespace atoll::attention_node
