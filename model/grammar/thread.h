#pragma once

// Where one reading of the text so far stands in a graph: a stack of frames, the innermost last. Copyable; the copy costs what is in use.

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/check.h"
#include "model/grammar/node.h"

namespace atoll::model::grammar {

// Without initial values: a stack is copied for every byte that is tried, and only what is in use.
struct Frame {
  NodeId node;
  uint8_t phase;
  uint8_t inner;   // blanks so far, or the place inside a character (utf8_place.h)
  uint16_t next;   // of an object: the first property that may still come; of a sequence: the child that comes
  uint64_t value;  // what the node counts
  friend bool operator==(const Frame&, const Frame&) = default;
};

class Thread {
 public:
  Thread() = default;
  Thread(const Thread& other) : depth_(other.depth_) { std::copy_n(other.frames_.begin(), depth_, frames_.begin()); }
  Thread& operator=(const Thread& other) {
    depth_ = other.depth_;
    std::copy_n(other.frames_.begin(), depth_, frames_.begin());
    return *this;
  }

  // An empty stack: the text is complete.
  bool empty() const { return depth_ == 0; }
  int depth() const { return depth_; }
  Frame& top() { return frames_[static_cast<size_t>(depth_ - 1)]; }
  const Frame& top() const { return frames_[static_cast<size_t>(depth_ - 1)]; }
  const Frame& frame(int i) const { return frames_[static_cast<size_t>(i)]; }
  void Push(NodeId node) {
    ATOLL_CHECK(depth_ < kFramesMax, "the stack of a constraint is full");
    frames_[static_cast<size_t>(depth_++)] = Frame{node, 0, 0, 0, 0};
  }
  void Pop() { --depth_; }

  friend bool operator==(const Thread& a, const Thread& b) {
    return a.depth_ == b.depth_ && std::equal(a.frames_.begin(), a.frames_.begin() + a.depth_, b.frames_.begin());
  }

 private:
  int depth_ = 0;
  std::array<Frame, kFramesMax> frames_;  // [0, depth_) are set
};

}  // namespace atoll::model::grammar
