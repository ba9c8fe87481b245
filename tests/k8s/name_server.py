"""A cluster's DNS, as far as pods use it: answers A for Services, NOERROR without data for their other records, NXDOMAIN else.
name_server.py ADDRESS FILE, where FILE has a line `name address` per Service and may change."""
import socket, struct, sys

DOMAIN = '.atoll.svc.cluster.local'
TTL_SECONDS = 5


def question_of(packet):
    """The name asked for, its type, and where the question ends."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode('ascii'))
        at += 1 + packet[at]
    return '.'.join(labels).lower(), struct.unpack('!H', packet[at + 1:at + 3])[0], at + 5


def answer(packet, services):
    name, kind, end = question_of(packet)
    address = services.get(name.removesuffix(DOMAIN)) if name.endswith(DOMAIN) else None
    record = struct.pack('!HHHIH', 0xC00C, 1, 1, TTL_SECONDS, 4) + socket.inet_aton(address) if address and kind == 1 else b''
    flags = 0x8580 | (0 if address else 3)
    return packet[:2] + struct.pack('!HHHHH', flags, 1, bool(record), 0, 0) + packet[12:end] + record


def main():
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((sys.argv[1], 53))
    print('listening', flush=True)
    while True:
        packet, asker = listener.recvfrom(4096)
        services = dict(line.split() for line in open(sys.argv[2]))
        try: listener.sendto(answer(packet, services), asker)
        except (IndexError, UnicodeDecodeError, struct.error): continue


main()
