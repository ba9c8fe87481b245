// Objects and arrays between their children, byte by byte; and what is the same for frames that differ.

#include <algorithm>

#include "model/grammar/step.h"
#include "model/grammar/utf8_place.h"

namespace atoll::model::grammar {
namespace {

constexpr uint8_t kDeclaredOnly = 0xFF;  // `inner` of a key that only a declared name can still be
constexpr uint16_t kOther = 0xFFFF;      // the property is none of the declared ones

// A key as far as it is read: the declared names [low, high), by name, that it begins, and how many bytes that are. None: it is
// another name, or the text is past it.
struct KeyRange {
  static KeyRange Of(const Frame& frame) {
    return {static_cast<uint16_t>(frame.value), static_cast<uint16_t>(frame.value >> 16), static_cast<uint32_t>(frame.value >> 32)};
  }
  void Store(Frame& frame) const { frame.value = low | uint64_t{high} << 16 | uint64_t{at} << 32; }
  bool empty() const { return low >= high; }

  uint16_t low = 0, high = 0;
  uint32_t at = 0;
};

class ObjectStep {
 public:
  ObjectStep(const Node& node, Frame& frame, Surroundings& around) : node_(node), frame_(frame), around_(around) {}

  Step Run(uint8_t byte) {
    if (frame_.phase != kInKey && frame_.phase != kOpening && TakeBlank(byte, frame_)) return Step::kTaken;
    switch (frame_.phase) {
      case kOpening: return byte == '{' ? Go(kFirstKey) : Step::kRefused;
      case kFirstKey:
        if (byte == '}') return MayClose() ? Step::kEnded : Step::kRefused;
        return byte == '"' && MayBeginKey() ? BeginKey() : Step::kRefused;
      case kNextKey: return byte == '"' ? BeginKey() : Step::kRefused;
      case kInKey: return StepKey(byte);
      case kColon: return byte == ':' ? Go(kPropertyValue) : Step::kRefused;
      case kPropertyValue: return BeginValue();
      default:
        if (byte == '}') return MayClose() ? Step::kEnded : Step::kRefused;
        return byte == ',' && MayBeginKey() ? Go(kNextKey) : Step::kRefused;
    }
  }

  bool MayBeOther() const {
    return node_.additional != kNoNode && NoneRequired() && Fits(node_.additional);
  }

 private:
  size_t count() const { return node_.properties.size(); }
  bool NoneRequired() const { return node_.next_required[frame_.next] == count(); }
  bool MayClose() const { return NoneRequired(); }
  bool Fits(NodeId child) const { return around_.graph->node(child).frames <= around_.room; }
  // From the next property on to the first required one.
  bool MayBe(uint16_t property) const {
    return property >= frame_.next && property <= node_.next_required[frame_.next] && property < count() && Fits(node_.properties[property].value);
  }
  bool MayBeginKey() const {
    if (MayBeOther()) return true;
    const size_t last = std::min<size_t>(node_.next_required[frame_.next] + size_t{1}, count());
    for (size_t i = frame_.next; i < last; ++i) {
      if (Fits(node_.properties[i].value)) return true;
    }
    return false;
  }

  Step Go(uint8_t phase) {
    frame_.phase = phase;
    frame_.inner = 0;
    return Step::kTaken;
  }

  Step BeginKey() {
    KeyRange{0, static_cast<uint16_t>(count()), 1}.Store(frame_);
    return Go(kInKey);
  }

  const std::string& Name(uint16_t rank) const { return node_.properties[node_.by_name[rank]].quoted_name; }

  void Narrow(uint8_t byte, KeyRange& range) const {
    const auto byte_at = [&](uint16_t property) {
      const std::string& name = node_.properties[property].quoted_name;
      return range.at < name.size() ? static_cast<int>(static_cast<unsigned char>(name[range.at])) : -1;
    };
    const auto begin = node_.by_name.begin();
    const auto low = std::partition_point(begin + range.low, begin + range.high, [&](uint16_t property) { return byte_at(property) < byte; });
    const auto high = std::partition_point(low, begin + range.high, [&](uint16_t property) { return byte_at(property) == byte; });
    range.low = static_cast<uint16_t>(low - begin);
    range.high = static_cast<uint16_t>(high - begin);
    ++range.at;
  }

  Step StepKey(uint8_t byte) {
    KeyRange range = KeyRange::Of(frame_);
    if (!range.empty()) Narrow(byte, range);
    if (range.empty()) range = {};
    const bool names_end = !range.empty() && range.high - range.low == 1 && Name(range.low).size() == range.at;
    if (names_end) return EndKey(node_.by_name[range.low]);
    const bool other = StepOther(byte);
    if (other && byte == '"') return EndOther();
    if (!other) frame_.inner = kDeclaredOnly;
    const auto begin = node_.by_name.begin();
    if (!other && std::none_of(begin + range.low, begin + range.high, [&](uint16_t property) { return MayBe(property); })) return Step::kRefused;
    range.Store(frame_);
    return Step::kTaken;
  }

  // Whether the key may still be another name after `byte`. Escapes are left out: with them a declared name could come in disguise.
  bool StepOther(uint8_t byte) {
    if (frame_.inner == kDeclaredOnly || !MayBeOther() || byte < 0x20 || byte == '\\') return false;
    const int place = NextUtf8Place(frame_.inner, byte);
    if (place < 0) return false;
    frame_.inner = static_cast<uint8_t>(place);
    return true;
  }

  Step EndKey(uint16_t property) {
    if (!MayBe(property)) return Step::kRefused;
    frame_.value = property;
    frame_.next = static_cast<uint16_t>(property + 1);
    return Go(kColon);
  }

  Step EndOther() {
    frame_.value = kOther;
    frame_.next = static_cast<uint16_t>(count());
    return Go(kColon);
  }

  Step BeginValue() {
    around_.child = frame_.value == kOther ? node_.additional : node_.properties[frame_.value].value;
    frame_.value = 0;
    frame_.inner = 0;
    return Step::kBegins;
  }

  const Node& node_;
  Frame& frame_;
  Surroundings& around_;
};

uint64_t WithoutFarCount(const Node& node, uint64_t count, uint32_t bytes_max) {
  if (count < node.least) return node.least - count > bytes_max ? 0 : count;
  return node.most == kNoLimit || node.most - count > bytes_max ? node.least : count;
}

}  // namespace

Step StepObject(const Node& node, uint8_t byte, Frame& frame, Surroundings& around) { return ObjectStep(node, frame, around).Run(byte); }

Step StepArray(const Node& node, uint8_t byte, Frame& frame, Surroundings& around) {
  if (frame.phase == kOpeningArray) {
    frame.phase = kFirstItem;
    return byte == '[' ? Step::kTaken : Step::kRefused;
  }
  if (TakeBlank(byte, frame)) return Step::kTaken;
  const bool may_end = frame.value >= node.least;
  const bool may_go_on = (node.most == kNoLimit || frame.value < node.most) && around.graph->node(node.children[0]).frames <= around.room;
  if (byte == ']' && frame.phase != kNextItem) return may_end ? Step::kEnded : Step::kRefused;
  if (!may_go_on) return Step::kRefused;
  if (frame.phase == kAfterItem) {
    frame.phase = kNextItem;
    frame.inner = 0;
    return byte == ',' ? Step::kTaken : Step::kRefused;
  }
  around.child = node.children[0];
  frame.inner = 0;
  return Step::kBegins;
}

bool TakesPlainText(const Node& node, const Frame& frame, const Surroundings& around, uint32_t* characters) {
  *characters = kNoLimit;
  if (frame.inner != kBetween) return false;
  if (node.kind == NodeKind::kString && frame.phase == 1) {
    if (node.most != kNoLimit) *characters = static_cast<uint32_t>(node.most - frame.value);
    return true;
  }
  if (node.kind != NodeKind::kObject || frame.phase != kInKey) return false;
  Frame copy = frame;
  Surroundings same = around;
  return ObjectStep(node, copy, same).MayBeOther();
}

Frame WithoutFarCounts(const Node& node, Frame frame, uint32_t bytes_max) {
  const bool counts = node.kind == NodeKind::kString || node.kind == NodeKind::kArray;
  if (counts) frame.value = WithoutFarCount(node, frame.value, bytes_max);
  return frame;
}

}  // namespace atoll::model::grammar
