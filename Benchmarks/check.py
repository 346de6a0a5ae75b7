#!/usr/bin/env python3
"""Whether the yardstick is straight: asks rtun-link for links, and compares what TCP and UDP find with that.

usage: Benchmarks/check.py
"""
import json
import sys

from lab import Failure, Lab, tools

failures = []


def expect(what, value, low, high):
    good = low <= value <= high
    print(f"{'ok' if good else 'WRONG':6} {what}: {value:.3f}, expected {low:g} to {high:g}", flush=True)
    if not good:
        failures.append(what)


def link(lab, rate, delay, loss):
    """A link with a sink of each kind at its end, and the function to measure with; `delay` is one way."""
    a, b = lab.namespace("a"), lab.namespace("b")
    emulator, _ = lab.start(
        None, f"{tools()}/rtun-link", "--a", a, "--b", b, "--rate", str(rate), "--delay", str(delay),
        "--loss", str(loss), ready="rtun-link ready",
    )
    for command, port in (("sink", 5000), ("udp-sink", 5001)):
        lab.start(b, f"{tools()}/rtun-load", command, f"198.51.100.2:{port}", ready="rtun-load ready")
    return emulator, lambda command, *words, port=5000: lab.load(a, command, *words, f"198.51.100.2:{port}")


def main():
    with Lab() as lab:
        emulator, load = link(lab, 100, 20, 0)
        ping = load("ping", "--seconds", 1)
        expect("100 Mbit/s, 40 ms: round trip, ms", ping["p50_ms"], 40, 41)
        bulk = load("bulk", "--seconds", 2, "--warmup", 2)
        # Headers of IP and TCP take 52 of 1500 bytes.
        expect("100 Mbit/s, 40 ms: one stream of TCP, Mbit/s", bulk["mbit_s"], 94, 100 * 1448 / 1500 + 1)
        counters = json.loads(emulator.stop())
        expect("… packets lost", sum(counters[way]["lost"] for way in counters), 0, 0)
    with Lab() as lab:
        emulator, load = link(lab, 400, 5, 2)
        sent = load("udp-send", "--rate", 25_000, "--size", 1200, "--seconds", 2, port=5001)
        # Five standard deviations of a binomial distribution.
        spread = 500 * (0.02 * 0.98 / sent["sent"]) ** 0.5
        expect("400 Mbit/s, 2 % loss: datagrams lost, %", sent["loss_percent"], 2 - spread, 2 + spread)
        expect("… time on the way, ms", sent["p50_us"] / 1000, 5, 5.5)
        counters = json.loads(emulator.stop())["a_to_b"]
        expect("… counted as lost, %", 100 * counters["lost"] / counters["packets"], 2 - spread, 2 + spread)
        expect("… dropped by the queue", counters["dropped_by_queue"], 0, 0)
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"check: {failure}")
