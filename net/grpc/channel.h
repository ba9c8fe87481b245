#pragma once

// Client channels with the settings that all of Atoll's processes use among each other.

#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace atoll::net {

// An own connection (not shared with another channel to the same address) that is tried again every 100 ms to 1 s.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address, int message_bytes_max = 16 << 20);

}  // namespace atoll::net
