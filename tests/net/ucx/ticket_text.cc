#include "tests/net/ucx/ticket_text.h"

#include <array>
#include <sstream>

#include "net/little_endian.h"

namespace atoll::net {

std::string FormatTicket(const SessionTicket& ticket) {
  std::array<std::byte, kTermsBytes> terms;
  EncodeTerms(ticket.terms, terms);
  std::ostringstream line;
  line << ticket.data_address << ' ' << ticket.listener_name << ' ' << ticket.session << ' ' << ticket.incarnation;
  for (size_t i = 0; i < 16; i += 8) line << ' ' << LoadLittle<uint64_t>(&ticket.mac_key[i]);
  for (size_t i = 0; i < kTermsBytes; i += 8) line << ' ' << LoadLittle<uint64_t>(&terms[i]);
  return line.str();
}

SessionTicket ParseTicket(const std::string& text) {
  std::istringstream line(text);
  SessionTicket ticket;
  std::array<std::byte, kTermsBytes> terms;
  uint64_t word = 0;
  line >> ticket.data_address >> ticket.listener_name >> ticket.session >> ticket.incarnation;
  for (size_t i = 0; i < 16; i += 8) line >> word, StoreLittle(&ticket.mac_key[i], word);
  for (size_t i = 0; i < kTermsBytes; i += 8) line >> word, StoreLittle(&terms[i], word);
  const auto decoded = DecodeTerms(terms);
  if (!line || !decoded.ok()) return {};
  ticket.terms = *decoded;
  return ticket;
}

}  // namespace atoll::net
