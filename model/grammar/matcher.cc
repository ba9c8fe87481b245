#include "model/grammar/matcher.h"

#include "model/grammar/step.h"

namespace atoll::model::grammar {
namespace {

// A byte, or a control token.
struct Symbol {
  bool is_control = false;
  int32_t value = 0;
  uint8_t byte() const { return static_cast<uint8_t>(value); }
};

void Keep(const Thread& thread, std::vector<Thread>& threads) {
  if (threads.size() < kThreadsMax && std::find(threads.begin(), threads.end(), thread) == threads.end()) threads.push_back(thread);
}

class Feeder {
 public:
  Feeder(const Graph& graph, Symbol symbol, std::vector<Thread>& after) : graph_(graph), symbol_(symbol), after_(after) {}

  void Feed(Thread& thread) {
    while (!thread.empty()) {
      Surroundings around{.graph = &graph_, .room = kFramesMax - thread.depth()};
      switch (StepTop(thread, around)) {
        case Step::kRefused: return;
        case Step::kTaken: return Keep(thread, after_);
        case Step::kEnded: return End(thread), Keep(thread, after_);
        case Step::kEndedBefore: End(thread); break;
        case Step::kBegins: return Begin(thread, around.child);
      }
    }
  }

 private:
  Step StepTop(Thread& thread, Surroundings& around) {
    Frame& frame = thread.top();
    const Node& node = graph_.node(frame.node);
    if (node.kind == NodeKind::kSequence) return StepSequence(node, thread, around);
    if (node.kind == NodeKind::kChoice) return StepChoice(node, thread, around);
    if (symbol_.is_control) {
      if (node.kind == NodeKind::kControl) return symbol_.value == node.control ? Step::kEnded : Step::kRefused;
      return MayEnd(node, frame) ? Step::kEndedBefore : Step::kRefused;
    }
    switch (node.kind) {
      case NodeKind::kString: return StepString(node, symbol_.byte(), frame);
      case NodeKind::kInteger: return StepInteger(node, symbol_.byte(), frame);
      case NodeKind::kNumber: return StepNumber(node, symbol_.byte(), frame);
      case NodeKind::kWords: return StepWords(node, symbol_.byte(), frame);
      case NodeKind::kObject: return StepObject(node, symbol_.byte(), frame, around);
      case NodeKind::kArray: return StepArray(node, symbol_.byte(), frame, around);
      default: return Step::kRefused;
    }
  }

  // The frame is given up for the last child, so that a sequence that ends with itself does not grow the stack.
  Step StepSequence(const Node& node, Thread& thread, Surroundings& around) {
    Frame& frame = thread.top();
    if (frame.next == 0 && node.may_begin_blank && !symbol_.is_control && TakeBlank(symbol_.byte(), frame)) return Step::kTaken;
    around.child = node.children[frame.next];
    frame.inner = 0;
    if (frame.next + size_t{1} == node.children.size()) thread.Pop();
    return Step::kBegins;
  }

  Step StepChoice(const Node& node, Thread& thread, Surroundings& around) {
    Frame& frame = thread.top();
    Step step = symbol_.is_control ? (WordMayEnd(node, frame) ? Step::kEndedBefore : Step::kRefused) : Step::kEndedBefore;
    if (!symbol_.is_control && frame.next == 0) step = StepWords(node, symbol_.byte(), frame);
    if (frame.next == 1) step = Step::kEndedBefore;
    if (step == Step::kEnded) frame.next = 1, step = Step::kTaken;
    if (step != Step::kEndedBefore) return step;
    around.child = node.children[WordOf(frame)];
    thread.Pop();
    return Step::kBegins;
  }

  void Begin(const Thread& below, NodeId child) {
    for (const NodeId id : graph_.node(child).alternatives) {
      const Node& node = graph_.node(id);
      if ((!symbol_.is_control && !node.first[symbol_.byte()]) || below.depth() + node.frames > kFramesMax) continue;
      Thread thread = below;
      thread.Push(id);
      Feed(thread);
    }
  }

  void End(Thread& thread) const {
    thread.Pop();
    if (thread.empty()) return;
    Frame& frame = thread.top();
    const Node& node = graph_.node(frame.node);
    frame.inner = 0;
    if (node.kind == NodeKind::kObject) frame.phase = kAfterProperty;
    if (node.kind == NodeKind::kSequence) ++frame.next;
    if (node.kind != NodeKind::kArray) return;
    frame.phase = kAfterItem;
    frame.value = node.most == kNoLimit ? std::min<uint64_t>(frame.value + 1, node.least) : frame.value + 1;
  }


  const Graph& graph_;
  const Symbol symbol_;
  std::vector<Thread>& after_;
};

}  // namespace

void StepByte(const Graph& graph, const Thread& thread, uint8_t byte, std::vector<Thread>& after) {
  Thread copy = thread;
  Feeder(graph, {.is_control = false, .value = byte}, after).Feed(copy);
}

void StepControl(const Graph& graph, const Thread& thread, int32_t control, std::vector<Thread>& after) {
  Thread copy = thread;
  Feeder(graph, {.is_control = true, .value = control}, after).Feed(copy);
}

bool IsComplete(const Graph& graph, const Thread& thread) {
  return thread.empty() || (thread.depth() == 1 && MayEnd(graph.node(thread.top().node), thread.top()));
}

Matcher::Matcher(const Grammar& grammar) : grammar_(&grammar), threads_(1) { threads_[0].Push(grammar.root()); }

// Reading by reading, as masks are made: what one reading takes does not depend on the others.
bool Matcher::TakeBytes(std::string_view bytes) {
  std::vector<Thread> taken, now, after;
  for (const Thread& thread : threads_) {
    now.assign(1, thread);
    for (const char byte : bytes) {
      after.clear();
      for (const Thread& reading : now) StepByte(grammar_->graph(), reading, static_cast<uint8_t>(byte), after);
      now.swap(after);
    }
    for (const Thread& reading : now) Keep(reading, taken);
  }
  if (taken.empty()) return false;
  threads_.swap(taken);
  return true;
}

bool Matcher::TakeControl(int32_t control) {
  std::vector<Thread> after;
  for (const Thread& thread : threads_) StepControl(grammar_->graph(), thread, control, after);
  if (after.empty()) return false;
  threads_.swap(after);
  return true;
}

bool Matcher::complete() const {
  return gate() == nullptr && std::any_of(threads_.begin(), threads_.end(), [this](const Thread& thread) { return IsComplete(grammar_->graph(), thread); });
}

bool Matcher::finished() const {
  return gate() == nullptr && std::all_of(threads_.begin(), threads_.end(), [](const Thread& thread) { return thread.empty(); });
}

}  // namespace atoll::model::grammar
