"""Reads the first message of rtun-server with other people's libraries: a WebSocket (websockets) or QUIC (aioquic)
client that checks the server's certificate. Prints "ServerHello versions=[1] nonce=32 bindings=[1]".

usage: server_hello.py URL CA-FILE
"""

import asyncio
import ssl
import sys
from urllib.parse import urlsplit

import websockets
from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import StreamDataReceived


def fields(data):
    """The fields of a protobuf message, as (number, value)."""

    def varint(at):
        value = shift = 0
        while True:
            byte = data[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value, at

    at = 0
    while at < len(data):
        key, at = varint(at)
        if key & 7 == 0:
            value, at = varint(at)
        elif key & 7 == 2:
            length, at = varint(at)
            value, at = data[at : at + length], at + length
        else:
            raise ValueError(f"unexpected wire type in key {key}")
        yield key >> 3, value


def describe(envelope):
    (number, hello), = fields(envelope)
    assert number == 2, f"the first message has body {number}, not ServerHello"
    values = dict(fields(hello))
    return f"ServerHello versions={list(values[1])} nonce={len(values[2])} bindings={list(values.get(3, b''))}"


async def over_websocket(url, authority):
    context = ssl.create_default_context(cafile=authority)
    async with websockets.connect(url._replace(scheme="wss", path="/sub/ws").geturl(), ssl=context) as socket:
        return await socket.recv()


async def over_quic(url, authority):
    received = asyncio.get_running_loop().create_future()
    buffer = bytearray()

    class Client(QuicConnectionProtocol):
        def quic_event_received(self, event):
            if isinstance(event, StreamDataReceived):
                buffer.extend(event.data)
                if len(buffer) >= 4 and len(buffer) >= 4 + int.from_bytes(buffer[:4], "big") and not received.done():
                    received.set_result(bytes(buffer[4 : 4 + int.from_bytes(buffer[:4], "big")]))

    configuration = QuicConfiguration(is_client=True, alpn_protocols=["rtun/1"], server_name=url.hostname)
    configuration.load_verify_locations(authority)
    async with connect(url.hostname, url.port, configuration=configuration, create_protocol=Client) as client:
        assert client._quic.tls.alpn_negotiated == "rtun/1"
        # A stream exists for the server from its first byte on, and the server speaks first: an empty record opens it.
        client._quic.send_stream_data(client._quic.get_next_available_stream_id(), b"\0\0\0\0")
        client.transmit()
        return await received


async def main():
    url, authority = urlsplit(sys.argv[1]), sys.argv[2]
    read = over_quic if url.scheme == "quic" else over_websocket
    print(describe(await asyncio.wait_for(read(url, authority), 10)))


asyncio.run(main())
