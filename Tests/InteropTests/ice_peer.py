"""An ICE agent by aioice for ours to meet: says its credentials and candidates, reads ours, connects, sends a greeting
and echoes what arrives.

usage: ice_peer.py controlling|controlled
stdout: "ufrag pwd", one "candidate …" line each (RFC 8839 grammar), "end"; then "connected", then "received TEXT".
stdin:  the same in the other direction, up to "end".
"""

import asyncio
import sys

import aioice


async def main():
    connection = aioice.Connection(ice_controlling=sys.argv[1] == "controlling", components=1)
    # Only loopback: nothing else is there to be tested.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    await connection.gather_candidates()
    print(connection.local_username, connection.local_password)
    for candidate in connection.local_candidates:
        print("candidate", candidate.to_sdp())
    print("end", flush=True)

    lines = iter(sys.stdin.readline, "")
    connection.remote_username, connection.remote_password = next(lines).split()
    for line in lines:
        if line.strip() == "end":
            break
        await connection.add_remote_candidate(aioice.Candidate.from_sdp(line.removeprefix("candidate ").strip()))
    await connection.add_remote_candidate(None)
    await connection.connect()
    print("connected", flush=True)
    await connection.send(b"\x80greetings from aioice")
    while True:
        data = await connection.recv()
        print("received", data[1:].decode(), flush=True)


asyncio.run(main())
