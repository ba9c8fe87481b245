#pragma once

// The memory of one send that UCX has not completed. UCX packs a frame through a callback (its generic datatype), first
// straight from the sender's own memory; most sends are then over when ucp_am_send_nbx returns. Only when one is not are
// the bytes copied here, so that the sender may reuse its memory, unless it gave a keeper. Serialized like the worker.

#include <ucp/api/ucp.h>

#include <array>
#include <memory>
#include <vector>

#include "net/link.h"

namespace atoll::net {

class UcxEndpoint;

class SendSlot {
 public:
  explicit SendSlot(UcxEndpoint& owner) : owner_(owner) {}

  void Fill(std::span<const std::byte, kHeaderBytes> header, Payload payload, std::shared_ptr<const void> keeper);
  // The send goes on: copies the bytes if nobody keeps them.
  void KeepBytes();
  void DropKeeper() { keeper_.reset(); }
  // The payload where it is one piece that somebody keeps; such a piece may go to the wire without any copy.
  std::span<const std::byte> KeptPiece() const;
  // Bytes from `offset` on into `to`, at most `bytes_max`; returns how many.
  size_t Pack(size_t offset, std::byte* to, size_t bytes_max);

  const std::byte* header() const { return header_.data(); }
  size_t bytes() const { return bytes_; }
  UcxEndpoint& owner() const { return owner_; }

 private:
  void SeekTo(size_t offset);

  UcxEndpoint& owner_;
  std::array<std::byte, kHeaderBytes> header_;
  std::vector<std::span<const std::byte>> pieces_;
  std::shared_ptr<const void> keeper_;  // shared with the sender
  size_t bytes_ = 0;
  size_t piece_ = 0;        // where the last Pack ended
  size_t piece_start_ = 0;  // offset of that piece in the payload
  std::unique_ptr<std::byte[]> copy_;
  size_t copy_capacity_ = 0;
};

// UCX's name for "pack a SendSlot".
class SlotDatatype {
 public:
  SlotDatatype();
  ~SlotDatatype();
  SlotDatatype(const SlotDatatype&) = delete;
  SlotDatatype& operator=(const SlotDatatype&) = delete;
  ucp_datatype_t handle() const { return handle_; }

 private:
  ucp_datatype_t handle_ = 0;
};

}  // namespace atoll::net
