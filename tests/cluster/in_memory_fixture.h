#pragma once

// The bundled checkpoint, loaded once per test program, and prompts for it.

#include <gmock/gmock.h>

#include <memory>
#include <random>
#include <vector>

#include "base/check.h"
#include "tests/cluster/in_memory_cluster.h"

namespace atoll::cluster_test {

using attention_node::SequenceRequest;

class InMemoryClusterTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (checkpoint_ != nullptr) return;
    auto checkpoint = model::Checkpoint::Open(ATOLL_SOURCE_DIR "/checkpoints/tales");
    ATOLL_CHECK(checkpoint.ok(), std::string(checkpoint.status().message()));
    checkpoint_ = checkpoint->release();  // for the life of the program
    auto shard = attention_node::LoadAttentionShard(*checkpoint_, {kernels::DetectIsa(), nullptr}, {});
    ATOLL_CHECK(shard.ok(), std::string(shard.status().message()));
    shard_ = new attention_node::AttentionShard(*std::move(shard));
  }

  static SequenceRequest RandomRequest(uint32_t seed, int prompt_length, int max_tokens) {
    std::mt19937 random(seed);
    SequenceRequest request;
    request.prompt_ids = {0};
    while (static_cast<int>(request.prompt_ids.size()) < prompt_length) request.prompt_ids.push_back(3 + static_cast<int32_t>(random() % 4000));
    request.max_tokens = max_tokens;
    request.logprobs = 3;
    return request;
  }

  // Greedy and sampled, short and long, into the YaRN range; 12 pages for the prompts, 15 in the end.
  static std::vector<SequenceRequest> PromptSet() {
    std::vector<SequenceRequest> set{RandomRequest(1, 50, 24), RandomRequest(2, 70, 20), RandomRequest(3, 300, 12),
                                     RandomRequest(4, 1, 24), RandomRequest(5, 33, 40), RandomRequest(6, 120, 16)};
    for (size_t i : {1u, 3u, 4u, 5u}) {
      set[i].sampling.temperature = 0.9f;
      set[i].sampling.seed = 1000 + i;
    }
    set[3].sequence_index = 2;
    set[4].sampling.top_p = 0.9f;
    set[4].sampling.repetition_penalty = 1.2f;
    set[5].sampling.top_k = 40;
    set[5].sampling.presence_penalty = 0.4f;
    for (SequenceRequest& request : set) request.ignore_eos = true;
    return set;
  }

  static std::vector<std::string> Fingerprints(const std::vector<Outcome>& outcomes, size_t count) {
    std::vector<std::string> prints;
    for (size_t i = 0; i < count; ++i) prints.push_back(Fingerprint(outcomes[i]));
    return prints;
  }

  static inline const model::Checkpoint* checkpoint_ = nullptr;
  static inline const attention_node::AttentionShard* shard_ = nullptr;
};

}  // namespace atoll::cluster_test
