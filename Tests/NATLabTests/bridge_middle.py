#!/usr/bin/env python3
"""Stands between the server and everybody else, and reads what the server reads: the WebSocket messages of plain
http:// connections. Or does worse, as a hostile server could.

usage: bridge_middle.py PORT SERVER SERVER_PORT ONE_IN

Listens on PORT and passes connections on. Of the bridged datagrams it flips a bit in one of ONE_IN messages (0: none),
from the hundredth on, when handshakes are over. For each line on standard input it prints
messages=N bridged=N bytes=N tampered=N agent_seen=0|1 marker_seen=0|1: whether the name of the agent's software was
among what it read (as it has to be: it is in its Hello), and whether the marker of lab_traffic.py was.
"""
import asyncio
import os
import random
import sys

sys.dont_write_bytecode = True  # the build would wonder about the file
from lab_traffic import MARKER

port, server, server_port, one_in = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
generator = random.Random(7)
counts = dict(messages=0, bridged=0, bytes=0, tampered=0, agent_seen=0, marker_seen=0)
BRIDGE, DATAGRAMS = 25, 2  # field numbers in app.proto: of Bridge in Envelope, of datagrams in Bridge


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def field(data, begin, end, number):
    """Where a length-delimited field lies in a protobuf message, or None."""
    at = begin
    while at < end:
        key, at = varint(data, at)
        if key & 7 == 0:
            _, at = varint(data, at)
        elif key & 7 == 2:
            length, at = varint(data, at)
            if key >> 3 == number:
                return at, at + length
            at += length
        else:
            raise ValueError(f"wire type {key & 7}")
    return None


def look_at(message):
    counts["messages"] += 1
    counts["agent_seen"] |= b"rtun-agent/" in message
    counts["marker_seen"] |= MARKER.strip() in message
    bridge = field(message, 0, len(message), BRIDGE)
    if bridge is None:
        return
    begin, end = field(message, *bridge, DATAGRAMS)
    counts["bridged"] += 1
    counts["bytes"] += end - begin
    if one_in and counts["bridged"] > 100 and generator.randrange(one_in) == 0:
        message[generator.randrange(begin, end)] ^= 1 << generator.randrange(8)
        counts["tampered"] += 1


def masked(payload, mask):
    if not mask:
        return payload
    size = len(payload)
    pattern = (mask * (size // 4 + 1))[:size]
    return bytearray((int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(size, "big"))


async def frames(reader, writer):
    """Passes WebSocket frames on (RFC 6455 §5.2), binary messages as `look_at` leaves them."""
    writer.write(await reader.readuntil(b"\r\n\r\n"))
    while True:
        head = await reader.readexactly(2)
        size = head[1] & 0x7F
        if size == 126:
            head += await reader.readexactly(2)
            size = int.from_bytes(head[2:], "big")
        elif size == 127:
            head += await reader.readexactly(8)
            size = int.from_bytes(head[2:], "big")
        mask = await reader.readexactly(4) if head[1] & 0x80 else b""
        payload = bytearray(await reader.readexactly(size))
        if head[0] == 0x82:
            payload = masked(payload, mask)
            look_at(payload)
            payload = masked(payload, mask)
        writer.write(head + mask + payload)
        await writer.drain()


async def connected(reader, writer):
    try:
        far_reader, far_writer = await asyncio.open_connection(server, server_port, limit=1 << 20)
        try:
            await asyncio.gather(frames(reader, far_writer), frames(far_reader, writer))
        finally:
            far_writer.close()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    await asyncio.start_server(connected, None, port, limit=1 << 20)
    print("listening", flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(*(f"{key}={int(value)}" for key, value in counts.items()), flush=True)
    os._exit(0)  # without a word about the connections that are open


asyncio.run(main())
