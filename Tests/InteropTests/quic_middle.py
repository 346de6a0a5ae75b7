"""A man in the middle of QUIC signalling: ends the client's connection with a certificate of its own, opens another one
to the real server, and passes the bytes of the streams on unchanged. Written on aioquic.

Prints "listening PORT", and "relayed both ways" once bytes have gone in both directions.
"""

import argparse
import asyncio
import ssl

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import HandshakeCompleted, StreamDataReceived

ALPN = ["rtun/1"]


class Leg(QuicConnectionProtocol):
    """One of the two connections; everything that arrives on a stream goes out on the same stream of the other."""

    other = None
    relayed = set()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.waiting = []

    def join(self, other):
        self.other, other.other = other, self
        for stream, data, end in self.waiting:
            self.pass_on(stream, data, end)
        self.waiting = []

    def pass_on(self, stream, data, end):
        self.other._quic.send_stream_data(stream, data, end)
        self.other.transmit()
        if data:
            Leg.relayed.add(self._quic.configuration.is_client)
            if len(Leg.relayed) == 2:
                print("relayed both ways", flush=True)
                Leg.relayed.add("said")

    def quic_event_received(self, event):
        if isinstance(event, HandshakeCompleted) and not self._quic.configuration.is_client:
            asyncio.ensure_future(open_upstream(self))
        if isinstance(event, StreamDataReceived):
            if self.other is None:
                self.waiting.append((event.stream_id, event.data, event.end_stream))
            else:
                self.pass_on(event.stream_id, event.data, event.end_stream)


async def open_upstream(downstream):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=ALPN, verify_mode=ssl.CERT_NONE)
    async with connect("127.0.0.1", arguments.upstream, configuration=configuration, create_protocol=Leg) as upstream:
        downstream.join(upstream)
        upstream.join(downstream)
        await upstream.wait_closed()


async def main():
    configuration = QuicConfiguration(is_client=False, alpn_protocols=ALPN)
    configuration.load_cert_chain(arguments.certificate, arguments.key)
    server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=Leg)
    print("listening", server._transport.get_extra_info("sockname")[1], flush=True)
    await asyncio.Future()


parser = argparse.ArgumentParser()
parser.add_argument("--upstream", type=int, required=True)
parser.add_argument("--certificate", required=True)
parser.add_argument("--key", required=True)
arguments = parser.parse_args()
asyncio.run(main())
