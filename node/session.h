#pragma once

// What a session is asked for with, and the terms that both ends derive from the model.

#include <cstdint>
#include <string>

#include "base/dtype.h"
#include "base/status.h"
#include "model/config.h"
#include "net/session.h"

namespace atoll::node {

struct SessionRequest {
  std::string caller_node_id;
  uint64_t caller_incarnation = 0;
  uint64_t callee_incarnation = 0;  // as the caller knows it from the router; 0: any
  uint64_t epoch = 0;
  net::SessionTerms terms;  // the caller's own; the callee decides about numerics, window and part limits
};

// Terms of a node that runs `model` with activations of `dtype` (bf16 or float32, rows and results alike).
net::SessionTerms TermsOf(const model::ModelConfig& model, uint64_t model_fingerprint, DType dtype);

// "bfloat16" or "float32", as protos and options say it.
absl::StatusOr<DType> ParseActivationDType(const std::string& name);

// Implemented by whoever owns the LinkHost. Thread-safe.
class SessionMinter {
 public:
  virtual ~SessionMinter() = default;
  // FailedPrecondition names the first difference of model, shape, dtype or incarnation; ResourceExhausted over the caps.
  virtual absl::StatusOr<net::SessionTicket> Mint(const SessionRequest& request) = 0;
};

}  // namespace atoll::node
