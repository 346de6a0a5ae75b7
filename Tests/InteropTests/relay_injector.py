#!/usr/bin/env python3
"""Sits on the loopback interface beside a relay and its agent, and sends each what a stranger on the path could: records
played again, cut off, with a flipped bit, and made up. Needs root.

usage: relay_injector.py COUNT SECONDS      prints how many datagrams it has sent
"""
import os
import random
import socket
import struct
import sys
import time

count, seconds = int(sys.argv[1]), float(sys.argv[2])
generator = random.Random(7)

sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
sniffer.bind(("lo", 0))
sniffer.settimeout(0.2)
v6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_UDP)
v6.setsockopt(socket.IPPROTO_IPV6, 7, 6)  # IPV6_CHECKSUM: where the kernel puts the checksum
v4 = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
mine = set()


def send(family, source, destination, payload):
    header = struct.pack("!HHHH", source, destination, 8 + len(payload), 0)
    mine.add(payload)
    if family == 6:
        v6.sendto(header + payload, ("::1", 0))
    else:
        v4.sendto(header + payload, ("127.0.0.1", 0))


def variants(record):
    yield record
    yield record[: generator.randrange(len(record))]
    flipped = bytearray(record)
    flipped[generator.randrange(len(record))] ^= 1 << generator.randrange(8)
    yield bytes(flipped)
    yield record[:11] + b"\x00\x03abc"  # an encrypted record too short to be one
    yield record[:3] + os.urandom(8) + struct.pack("!H", 64) + os.urandom(64)
    yield bytes([21, 254, 253, 0, 0]) + os.urandom(6) + b"\x00\x02\x02\x28"  # handshake_failure in the clear
    yield bytes([generator.choice([20, 22, 23])]) + os.urandom(generator.randrange(1400))


sent = 0
end = time.monotonic() + seconds
while sent < count and time.monotonic() < end:
    try:
        frame = sniffer.recv(65536)
    except socket.timeout:
        continue
    kind = struct.unpack_from("!H", frame, 12)[0]
    if kind == 0x86DD and frame[20] == 17:
        family, offset = 6, 54
    elif kind == 0x0800 and frame[23] == 17:
        family, offset = 4, 34
    else:
        continue
    source, destination = struct.unpack_from("!HH", frame, offset)
    payload = frame[offset + 8 :]
    # Application data of DTLS 1.2 after the handshake.
    if payload[:3] != b"\x17\xfe\xfd" or payload[3:5] != b"\x00\x01" or payload in mine:
        continue
    for variant in variants(payload):
        if variant:
            send(family, source, destination, variant)
            sent += 1
print(sent)
