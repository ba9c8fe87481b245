#pragma once

#include <cstdint>
#include <memory>

namespace atoll::model::grammar {
class Grammar;
}

namespace atoll::attention_node {

// A constraint as it is ready for sampling, and the number that its masks are kept under.
struct CompiledConstraint {
  // Owned by the cache that made it and by the sequences that it holds for.
  std::shared_ptr<const model::grammar::Grammar> grammar;
  uint64_t number = 0;
};

}  // namespace atoll::attention_node
