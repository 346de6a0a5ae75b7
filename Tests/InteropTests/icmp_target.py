#!/usr/bin/env python3
"""A UDP service on 127.0.0.1 that sends the network's complaints (ICMP errors of every kind) to whoever asks, and then the
answer. Needs root. Prints its port."""
import socket
import struct

service = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
service.bind(("127.0.0.1", 0))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
port = service.getsockname()[1]
print(port, flush=True)
loopback = socket.inet_aton("127.0.0.1")


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


while True:
    payload, sender = service.recvfrom(2048)
    # The head of the datagram that is complained about.
    udp = struct.pack("!HHHH", sender[1], port, 8 + len(payload), 0)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(payload), 1, 0, 64, 17, 0) + loopback + loopback
    # Destination unreachable: network, host, protocol, port, fragmentation needed (MTU 1400), isolated, prohibited …
    for code in list(range(16)) * 2:
        rest = struct.pack("!HH", 0, 1400 if code == 4 else 0)
        body = rest + ip + udp + payload[:8]
        head = struct.pack("!BBH", 3, code, 0)
        head = struct.pack("!BBH", 3, code, checksum(head + body))
        raw.sendto(head + body, ("127.0.0.1", 0))
    service.sendto(payload, sender)
