#!/usr/bin/env python3
"""Bulk transfers over links that are slow, far, or lossy, and how long a ping takes beside them.

usage: Benchmarks/wan.py [--only PEER,…] [--profile NAME,…] [--rounds N] [--seconds S] [--json FILE] [--quick]

The client is behind an emulated link (rtun-link), server, agent and target near each other at its far end. In each
round each peer has its turn, with programs that are started for it. A full run writes its tables into
docs/benchmarks.md; with --only, --profile or --quick it only prints them. Needs root, and RTUN_BIN.
"""
import argparse
import json
import sys

import report
from lab import Failure, Lab, Site
from peers import choose, tcp_peers


class Profile:
    """A link, the same in both directions; `delay` is the whole round trip in milliseconds."""

    def __init__(self, name, rate, delay, loss, queue=None):
        self.name, self.rate, self.delay, self.loss = name, rate, delay, loss
        # What the link holds in a round trip, unless it is one with too large a buffer.
        self.queue = queue or max(65_536, int(rate * 1e6 / 8 * delay / 1e3))

    def link_options(self):
        return [
            "--rate", str(self.rate), "--delay", str(self.delay / 2), "--queue", str(self.queue),
            "--loss", str(self.loss),
        ]

    def title(self):
        loss = f"{self.loss} % loss" if self.loss else "no loss"
        return f"{self.rate} Mbit/s, {self.delay} ms there and back, {loss}, queue of {self.queue // 1000} kB"


PROFILES = [
    Profile("loss1", 100, 100, 1),
    Profile("loss3", 50, 150, 3),
    Profile("loss10", 100, 100, 10),
    Profile("loss0.1", 100, 40, 0.1),
    Profile("clean", 100, 40, 0),
    Profile("fat", 400, 80, 0),
    Profile("bloat", 20, 20, 0, queue=2_000_000),
]


def words(text):
    return [word for word in text.split(",") if word]


def measure(peer, site, options):
    """One peer's turn: both directions, programs started anew for each so that no one inherits what another learned."""
    results = {}
    for direction in ("down", "up"):
        try:
            peer.start(site)
            before = peer.cpu()
            result = peer.load(
                "bulk", "--direction", direction, "--seconds", options.seconds, "--warmup", options.warmup,
                "--ping", 20,
            )
            # Of the whole transfer, while the bytes are those after the warm-up: an upper bound.
            result["cpu_s"] = peer.cpu() - before
            result["peak_memory"] = peer.peak_memory()
            results[direction] = result
        except Failure as failure:
            results[direction] = {"error": str(failure)}
        finally:
            peer.stop()
    return results


def cells(rounds):
    """What the table says of a peer."""
    row = []
    for direction in ("down", "up"):
        good = [result[direction] for result in rounds if "error" not in result[direction]]
        if not good:
            row += ["failed", "–", "–"]
            continue
        row.append(report.spread([result["mbit_s"] for result in good]))
        for percentile in ("p50_ms", "p99_ms"):
            row.append(report.spread([result["ping"][percentile] for result in good], digits=0))
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=words, help="peers, by name")
    parser.add_argument("--profile", type=words, help=f"of {', '.join(p.name for p in PROFILES)}")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="that are counted, for each direction")
    parser.add_argument("--warmup", type=float, help="seconds before them")
    parser.add_argument("--congestion", default="cubic", metavar="NAME", help="of TCP; default: cubic")
    parser.add_argument("--json", metavar="FILE", help="write everything that was measured")
    parser.add_argument("--write", action="store_true",
                        help="write the tables into docs/benchmarks.md though only a part is measured")
    parser.add_argument("--quick", action="store_true", help="rtun and TCP only, two links, one round; fails only when "
                        "something does not complete")
    options = parser.parse_args()
    partial = options.only or options.profile or options.quick
    if options.quick:
        options.only = options.only or ["tcp-cubic", "rtun", "rtun-quic", "rtun-https"]
        options.profile = options.profile or ["loss1", "clean"]
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (2 if options.quick else 8)
    options.warmup = options.warmup if options.warmup is not None else (1.5 if options.quick else 4)
    for name in options.profile or []:
        if name not in [profile.name for profile in PROFILES]:
            raise Failure(f"there is no profile \"{name}\"; there are {', '.join(p.name for p in PROFILES)}")
    peers = choose(tcp_peers(), options.only)

    failed, sections, everything = [], [], {}
    for profile in PROFILES:
        if options.profile and profile.name not in options.profile:
            continue
        results = {peer.name: [] for peer in peers}
        with Lab(options.congestion) as lab:
            site = Site.wan(lab, profile)
            for round in range(options.rounds):
                for peer in peers:
                    result = measure(peer, site, options)
                    results[peer.name].append(result)
                    text = []
                    for direction, one in result.items():
                        if "error" in one:
                            failed.append(f"{profile.name}, {peer.name}, {direction}: {one['error']}")
                            text.append(f"{direction} failed: {one['error'].splitlines()[0]}")
                        else:
                            ping = one["ping"]
                            text.append(
                                f"{direction} {one['mbit_s']:.1f} Mbit/s, ping p50 {ping['p50_ms'] or 0:.0f} "
                                f"p99 {ping['p99_ms'] or 0:.0f} ms"
                            )
                    print(f"{profile.name} {round + 1}/{options.rounds} {peer.name}: {'; '.join(text)}", flush=True)
            link = json.loads(site.link.stop() or "{}")
        everything[profile.name] = {"link": link, "peers": results}
        if options.json:
            # Again after each link: an interrupted run has been for something.
            facts = {"machine": report.machine(), "commit": report.commit()}
            report.write_json(options.json, {**facts, "profiles": everything})
        header = ["", "down, Mbit/s", "ping p50, ms", "p99", "up, Mbit/s", "ping p50, ms", "p99"]
        rows = [[peer.title, *cells(results[peer.name])] for peer in peers]
        sections.append(f"### {profile.name}: {profile.title()}\n\n{report.table(header, rows)}")
        print(f"\n{sections[-1]}\n", flush=True)

    if options.write or not partial:
        introduction = (
            f"Medians of {options.rounds} rounds (in brackets smallest and largest), one stream for "
            f"{options.seconds:g} s after a warm-up of {options.warmup:g} s, and beside it a ping of 64 bytes each "
            "20 ms on a connection of its own through the same tunnel. Mbit/s are those of the application. What goes "
            f"over TCP uses {options.congestion} where it is not said otherwise, with windows of up to 32 MiB."
        )
        report.write_section("wan", "\n\n".join(["## Links", introduction, report.facts(peers), *sections]))
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"wan: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
