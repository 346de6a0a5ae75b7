#!/usr/bin/env python3
"""What rtun-relay adds on loopback: the same echo service is asked straight and through a relay and its agent, in turns.

usage: Benchmarks/relay.py [--rate PACKETS_PER_SECOND] [--seconds S] [--rounds N]

Needs the programs: RTUN_BIN, the folder with them (`make bench-relay` sets it). Datagrams leave in bursts of a
millisecond's worth, carry the time of their departure, and are read by a process of its own.
"""
import argparse
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=int, default=10_000)
parser.add_argument("--seconds", type=float, default=5)
parser.add_argument("--rounds", type=int, default=3)
options = parser.parse_args()
folder = os.environ.get("RTUN_BIN") or sys.exit("set RTUN_BIN to the folder with the programs, or run make bench-relay")
children = []


def udp(connect=None):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind(("127.0.0.1", 0))
    if connect:
        s.connect(("127.0.0.1", connect))
    return s


def fork(body):
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        body()
        os._exit(0)
    children.append(pid)
    return pid


def start(program, *arguments):
    """Starts a program and returns the last word of its ready line."""
    environment = dict(os.environ, RTUN_SECRET=secret)
    process = subprocess.Popen(
        [f"{folder}/{program}", *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    children.append(process.pid)
    line = process.stdout.readline().split()
    if not line:
        sys.exit(process.stderr.read())
    return line[-1], process


def echo(service):
    while True:
        data, sender = service.recvfrom(2048)
        service.sendto(data, sender)


def collect(client, output):
    """Reads answers until none has come for a second; writes count and percentiles."""
    client.settimeout(1)
    times = []
    try:
        while True:
            data = client.recv(2048)
            times.append(time.monotonic_ns() - struct.unpack_from("!Q", data)[0])
    except TimeoutError:
        pass
    times.sort()
    at = lambda share: times[min(len(times) - 1, int(len(times) * share))] / 1000 if times else 0
    os.write(output, struct.pack("!Qddd", len(times), at(0.5), at(0.99), at(0.999)))


def measure(port, size):
    """Sends at the rate; returns loss in percent and round-trip times in microseconds (p50, p99, p99.9)."""
    client = udp(connect=port)
    client.settimeout(5)
    client.send(struct.pack("!Q", time.monotonic_ns()))
    client.recv(2048)  # the flow is there
    reader, writer = os.pipe()
    collector = fork(lambda: collect(client, writer))
    padding = bytes(size - 8)
    sent, begin = 0, time.monotonic()
    while (elapsed := time.monotonic() - begin) < options.seconds:
        due = int(elapsed * options.rate)
        while sent < due:
            client.send(struct.pack("!Q", time.monotonic_ns()) + padding)
            sent += 1
        time.sleep(0.001)
    os.waitpid(collector, 0)
    children.remove(collector)
    answered, p50, p99, p999 = struct.unpack("!Qddd", os.read(reader, 32))
    return 100 * (sent - answered) / sent, p50, p99, p999


secret = secrets.token_hex(16)
try:
    service = udp()
    target = service.getsockname()[1]
    fork(lambda: echo(service))
    server, _ = start("rtun-server", "--addr", "127.0.0.1:0")
    url = "quic://" + server.split("=")[1]
    start("rtun-agent", url, "--agent", "bench", "--quic-insecure")
    ready, relay = start("rtun-relay", "-L", f"127.0.0.1:0?to=127.0.0.1:{target}", url, "--quic-insecure")
    port = int(ready.rsplit(":", 1)[1])
    while "event=agent.selected" not in relay.stderr.readline():
        pass
    print(f"{options.rate} datagrams/s for {options.seconds:g} s, median of {options.rounds} rounds")
    print(f"{'bytes':>6} {'way':>7} {'loss %':>8} {'p50 µs':>8} {'p99 µs':>8} {'p99.9 µs':>9}")
    for size in (64, 1200):
        results = {"direct": [], "relay": []}
        for _ in range(options.rounds):
            results["direct"].append(measure(target, size))
            results["relay"].append(measure(port, size))
        medians = {way: [sorted(column)[len(rows) // 2] for column in zip(*rows)] for way, rows in results.items()}
        for way, (loss, p50, p99, p999) in medians.items():
            print(f"{size:>6} {way:>7} {loss:>8.3f} {p50:>8.0f} {p99:>8.0f} {p999:>9.0f}")
        added = [medians["relay"][i] / max(1, medians["direct"][i]) for i in (1, 2)]
        print(f"{'':>6} {'ratio':>7} {'':>8} {added[0]:>7.1f}× {added[1]:>7.1f}×")
finally:
    for pid in reversed(children):
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
