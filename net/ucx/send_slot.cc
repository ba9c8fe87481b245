#include "net/ucx/send_slot.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace atoll::net {

void SendSlot::Fill(std::span<const std::byte, kHeaderBytes> header, Payload payload, std::shared_ptr<const void> keeper) {
  keeper_ = std::move(keeper);
  std::copy(header.begin(), header.end(), header_.begin());
  pieces_.clear();
  bytes_ = piece_ = piece_start_ = 0;
  for (const auto& piece : payload) {
    if (!piece.empty()) pieces_.push_back(piece);
    bytes_ += piece.size();
  }
}

std::span<const std::byte> SendSlot::KeptPiece() const {
  return keeper_ != nullptr && pieces_.size() == 1 ? pieces_[0] : std::span<const std::byte>();
}

void SendSlot::KeepBytes() {
  if (keeper_ != nullptr) return;
  if (copy_capacity_ < bytes_) {
    copy_ = std::make_unique_for_overwrite<std::byte[]>(bytes_);
    copy_capacity_ = bytes_;
  }
  Pack(0, copy_.get(), bytes_);
  pieces_.assign(1, {copy_.get(), bytes_});
  piece_ = piece_start_ = 0;
}

void SendSlot::SeekTo(size_t offset) {
  if (offset < piece_start_) piece_ = piece_start_ = 0;
  while (piece_ < pieces_.size() && offset >= piece_start_ + pieces_[piece_].size()) piece_start_ += pieces_[piece_++].size();
}

size_t SendSlot::Pack(size_t offset, std::byte* to, size_t bytes_max) {
  const size_t wanted = std::min(bytes_max, bytes_ - std::min(offset, bytes_));
  for (size_t done = 0; done < wanted;) {
    SeekTo(offset + done);
    const auto from = pieces_[piece_].subspan(offset + done - piece_start_);
    const size_t bytes = std::min(from.size(), wanted - done);
    std::memcpy(to + done, from.data(), bytes);
    done += bytes;
  }
  return wanted;
}

SlotDatatype::SlotDatatype() {
  ucp_generic_dt_ops_t ops{};
  ops.start_pack = [](void*, const void* slot, size_t) { return const_cast<void*>(slot); };
  ops.packed_size = [](void* slot) { return static_cast<SendSlot*>(slot)->bytes(); };
  ops.pack = [](void* slot, size_t offset, void* to, size_t bytes_max) {
    return static_cast<SendSlot*>(slot)->Pack(offset, static_cast<std::byte*>(to), bytes_max);
  };
  ops.finish = [](void*) {};
  ops.start_unpack = [](void*, void* slot, size_t) { return slot; };
  ops.unpack = [](void*, size_t, const void*, size_t) { return UCS_ERR_UNSUPPORTED; };
  ATOLL_CHECK(ucp_dt_create_generic(&ops, nullptr, &handle_) == UCS_OK, "a datatype is a small allocation");
}

SlotDatatype::~SlotDatatype() { ucp_dt_destroy(handle_); }

}  // namespace atoll::net
