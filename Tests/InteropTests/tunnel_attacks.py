"""Is the client of a tunnel, and never acknowledges anything. Written on aioquic.

usage: tunnel_attacks.py PORT CERTIFICATE KEY OPENING ATTACK SECONDS

PORT is one of loopback that leads to the agent, CERTIFICATE the one that it expects. OPENING, in hex, is what asks the
agent for a connection.

stream   sends that, and then stream data, a byte a packet, and leaves out every other packet number
retire   uses up all connection ids that it gets, and goes on retiring those that it has retired already

Prints "begun" when a quarter of the time is over, and at the end how many packets the agent has acknowledged, or how it
has ended the connection.
"""

import asyncio
import ssl
import sys
import time

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated
from aioquic.tls import Epoch

RETIRE_CONNECTION_ID = 0x19
FRAMES_A_PACKET = 30
PACKETS_A_MILLISECOND = 4


class Client(QuicConnectionProtocol):
    ended = None

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            self.ended = event


def skip(quic):
    """Leaves out a packet number, unless one is left out already."""
    if quic._packet_number != skip.next:
        quic._packet_number += 1
        skip.next, skip.count = quic._packet_number, skip.count + 1


skip.next = skip.count = 0


def acknowledge_nothing(builder, space, now):
    space.ack_at = None


def streaming(quic, opening):
    stream = quic.get_next_available_stream_id()
    quic.send_stream_data(stream, opening)

    def step():
        skip(quic)
        quic.send_stream_data(stream, b"x")

    return step


def retiring(quic):
    retired = []
    ping = quic._write_ping_frame

    def write(builder, uids=(), comment=""):
        if not retired:
            return ping(builder)
        for index in range(FRAMES_A_PACKET):
            frame = builder.start_frame(RETIRE_CONNECTION_ID, capacity=9)
            frame.push_uint_var(retired[index % len(retired)])

    def step():
        if quic._peer_cid_available:
            retired.append(quic._peer_cid.sequence_number)
            quic.change_connection_id()
        quic._ping_pending.append(0)

    quic._write_ping_frame = write
    return step


async def main(port, certificate, key, opening, attack, seconds):
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["rtun-tunnel/1"], verify_mode=ssl.CERT_NONE, idle_timeout=60
    )
    configuration.load_cert_chain(certificate, key)
    async with connect("127.0.0.1", int(port), configuration=configuration, create_protocol=Client) as client:
        quic = client._quic
        quic._write_ack_frame = acknowledge_nothing
        step = streaming(quic, bytes.fromhex(opening)) if attack == "stream" else retiring(quic)
        start = time.monotonic()
        begun = False
        while time.monotonic() < start + float(seconds) and not client.ended:
            for _ in range(PACKETS_A_MILLISECOND):
                step()
                client.transmit()
            if not begun and time.monotonic() > start + float(seconds) / 4:
                begun = True
                print("begun", flush=True)
            await asyncio.sleep(0.001)
        if client.ended:
            print(f"error_code={client.ended.error_code} {client.ended.reason_phrase}", flush=True)
        else:
            print(quic._spaces[Epoch.ONE_RTT].largest_acked_packet - skip.count, flush=True)
            # Until the agent's memory has been looked at.
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


asyncio.run(main(*sys.argv[1:]))
