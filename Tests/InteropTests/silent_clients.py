"""Opens connections to a server that get as far as one can without the secret, and stay silent then.

usage: silent_clients.py URL CA-FILE HOW COUNT…

HOW is "tls", with nothing after the handshake of TLS or QUIC, or "hello", with what comes next: the upgrade to
WebSocket or the first stream, and ServerHello read.

Opens as many as the first COUNT says, prints "open N", N being all that the server has not ended by then, and waits for
a line; then the next ones.
"""

import asyncio
import ssl
import sys
from urllib.parse import urlsplit

from aioquic.asyncio import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import StreamDataReceived

AT_ONCE = 16
UPGRADE = (
    "GET /sub/ws HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def over_tls(url, context, says_hello):
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
    if says_hello:
        writer.write(UPGRADE.format(url.netloc).encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 101 ")
        while await reader.readline() != b"\r\n":
            pass
        # A binary frame of less than 126 bytes: ServerHello.
        head = await reader.readexactly(2)
        assert head[0] == 0x82 and head[1] < 126
        await reader.readexactly(head[1])
    return lambda: not reader.at_eof() and not writer.is_closing()


async def over_quic(url, configuration, says_hello):
    heard = asyncio.Event()

    class Client(QuicConnectionProtocol):
        def quic_event_received(self, event):
            if isinstance(event, StreamDataReceived):
                heard.set()

    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(
        lambda: Client(QuicConnection(configuration=configuration)), local_addr=("127.0.0.1", 0)
    )
    client.connect(("127.0.0.1", url.port))
    await client.wait_connected()
    if says_hello:
        client._quic.send_stream_data(client._quic.get_next_available_stream_id(), b"\0\0\0\0")
        client.transmit()
        await heard.wait()
    return lambda: client._quic._close_event is None


async def main(url, authority, how, *counts):
    url = urlsplit(url)
    if url.scheme == "quic":
        connect = over_quic
        context = QuicConfiguration(is_client=True, alpn_protocols=["rtun/1"], server_name=url.hostname)
        context.load_verify_locations(authority)
    else:
        connect = over_tls
        context = ssl.create_default_context(cafile=authority)
    are_open = []
    for count in map(int, counts):
        while count > 0:
            batch = [connect(url, context, how == "hello") for _ in range(min(count, AT_ONCE))]
            are_open += await asyncio.wait_for(asyncio.gather(*batch), 10)
            count -= len(batch)
        print("open", sum(is_open() for is_open in are_open), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


asyncio.run(main(*sys.argv[1:]))
