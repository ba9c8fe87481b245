#pragma once

// The options of `atoll up`, and which of them each program of the cluster takes.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/options.h"

namespace atoll::cli {

struct UpOptions {
  std::string model;
  std::string listen = "127.0.0.1:50051";
  std::string listen_http;     // empty: the router's own default
  std::string listen_metrics;  // likewise
  int64_t attention = 1;
  int64_t experts = 2;
  bool no_restart = false;
  std::vector<std::string> log_arguments;  // handed on to all programs
  uint64_t memory_for_experts = 0;  // of all expert nodes; 0: each takes what it finds free

  void Define(Options* options);
  std::vector<std::string> RouterArguments() const;
  std::vector<std::string> AttentionArguments(const std::string& router, int64_t index) const;
  std::vector<std::string> ExpertArguments(const std::string& router, int64_t index) const;

 private:
  // An option of the programs that `up` hands on as it stands; they check it.
  struct HandedOn {
    std::string name;
    std::string value;
    bool is_flag;
    bool flag;
    unsigned roles;
  };
  void HandOn(Options* options, std::string name, unsigned roles, std::string help, bool is_flag = false);
  std::vector<std::string> HandedTo(unsigned role) const;
  uint64_t memory_per_expert_node() const;  // 0: it is given by an option, or unknown

  std::vector<std::unique_ptr<HandedOn>> handed_on_;
};

// Of what this machine has free, the part that replicas may take; the rest is for pages and everything else. 0: unknown.
uint64_t MemoryForExperts();

}  // namespace atoll::cli
