#pragma once

// Which of the waiting parts run next, and in what order their pairs go through the kernels. Pure: parts are indexes with
// a few facts, time is passed in. Storage is reserved at start.
//
// Oldest first: the oldest part that may run decides the layer, and all others of that layer that may run come with it, up
// to pairs_max, so that each expert's weights are read once for all of them. A part may run when the rest of its dispatch
// is there or fills a batch, or after `parts_wait_ns` without any more of it (its sender may be waiting for credit, or for
// a processor: running what is there would read the weights twice); and, where `gather_wait_ns` is set, not before that much time has passed for parts of other dispatches to come.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>


namespace atoll::expert_node {

// All parts of one dispatch share this.
struct DispatchKey {
  uint64_t link = 0;
  uint64_t step = 0;
  uint16_t layer = 0;
  uint16_t micro_batch = 0;
  uint32_t attempt = 0;
  friend bool operator==(const DispatchKey&, const DispatchKey&) = default;
};

struct WaitingPart {
  int32_t part = 0;  // index into the part store
  DispatchKey dispatch;
  uint16_t parts = 1;  // that the dispatch has
  int64_t arrived_ns = 0;
  int32_t pair_count = 0;
};

struct GrouperOptions {
  int32_t parts_max = 0;
  int32_t pairs_max = 0;  // of a batch; at least one part's
  int64_t parts_wait_ns = 10'000'000;
  int64_t gather_wait_ns = 0;
};

class Grouper {
 public:
  explicit Grouper(const GrouperOptions& options);

  // At most parts_max parts wait at a time.
  void Add(const WaitingPart& part);
  // Parts of these links do not run until the next call says otherwise: their senders take no results.
  void Pause(std::span<const uint64_t> links) { paused_.assign(links.begin(), links.end()); }
  // Takes the next batch's parts, in arrival order; `layer` is theirs. Empty when none may run at `now_ns`.
  std::span<const int32_t> Take(int64_t now_ns);
  // When the next part may run; nothing when none waits but for paused links.
  std::optional<int64_t> NextReadyNs() const;

  // Removes the parts for which gone(part) says so; it is called once for each that waits.
  template <typename Predicate>
  void RemoveIf(Predicate gone) { std::erase_if(waiting_, gone); }

  int32_t waiting() const { return static_cast<int32_t>(waiting_.size()); }

 private:
  struct OpenDispatch {
    DispatchKey key;
    int32_t missing = 0;
    int64_t last_arrival_ns = 0;
    int32_t pairs = 0;  // that wait
  };

  int64_t ReadyNs(const WaitingPart& part) const;
  void NoteTaken(const WaitingPart& part);
  size_t FindOpen(const DispatchKey& key) const;  // index; incomplete_.size() when it is not there

  const GrouperOptions options_;
  std::vector<WaitingPart> waiting_;      // in arrival order
  std::vector<OpenDispatch> incomplete_;  // dispatches of which a part has not come; the oldest is forgotten first
  std::vector<uint64_t> paused_;
  std::vector<int32_t> taken_;
  std::vector<WaitingPart> runs_;  // taken_, with their facts
};

}  // namespace atoll::expert_node
