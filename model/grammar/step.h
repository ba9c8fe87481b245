#pragma once

// One byte at one frame. Internal to model/grammar/.

#include <cstdint>

#include "model/grammar/node.h"
#include "model/grammar/thread.h"

namespace atoll::model::grammar {

enum class Step : uint8_t {
  kRefused,
  kTaken,       // and the frame goes on
  kEnded,       // taken, and with it the frame ends
  kEndedBefore,  // the frame ended before it: it belongs to the one below
  kBegins,      // it belongs to a child that begins here
};

// What a step of an object or array needs to know beside its frame.
struct Surroundings {
  const Graph* graph = nullptr;
  int room = 0;             // frames that may still be pushed
  NodeId child = kNoNode;   // of kBegins
};

// Phases of an object and of an array between their children.
enum ObjectPhase : uint8_t { kOpening = 0, kFirstKey, kNextKey, kInKey, kColon, kPropertyValue, kAfterProperty };
enum ArrayPhase : uint8_t { kOpeningArray = 0, kFirstItem, kNextItem, kAfterItem };

// A blank that may stand here: at most two newlines, which come first, then at most 32 others.
bool TakeBlank(uint8_t byte, Frame& frame);

Step StepString(const Node& node, uint8_t byte, Frame& frame);
Step StepInteger(const Node& node, uint8_t byte, Frame& frame);
Step StepNumber(const Node& node, uint8_t byte, Frame& frame);
Step StepWords(const Node& node, uint8_t byte, Frame& frame);
Step StepObject(const Node& node, uint8_t byte, Frame& frame, Surroundings& around);
Step StepArray(const Node& node, uint8_t byte, Frame& frame, Surroundings& around);

// Whether the value may end where the frame stands: of numbers and words, which nothing closes.
bool MayEnd(const Node& node, const Frame& frame);

// Of a frame of words: whether one of them is complete, and which.
bool WordMayEnd(const Node& node, const Frame& frame);
size_t WordOf(const Frame& frame);

// Whether every text of whole characters without quote, backslash and control characters is taken here: of `characters` at most.
bool TakesPlainText(const Node& node, const Frame& frame, const Surroundings& around, uint32_t* characters);

// Frames that differ in no more than how far counts are from their limits, beyond `bytes_max`, take the same texts of so many bytes.
Frame WithoutFarCounts(const Node& node, Frame frame, uint32_t bytes_max);

}  // namespace atoll::model::grammar
