#pragma once

// A session ticket as a line of text, for test programs that talk over a pipe. A server carries tickets in gRPC.

#include <string>

#include "net/session.h"

namespace atoll::net {

std::string FormatTicket(const SessionTicket& ticket);
SessionTicket ParseTicket(const std::string& line);  // of FormatTicket; session 0 when it is not

}  // namespace atoll::net
