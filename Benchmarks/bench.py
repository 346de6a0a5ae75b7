#!/usr/bin/env python3
"""What rtun and others carry, and what that costs, where the network is no limit.

usage: Benchmarks/bench.py [--only PEER,…] [--part tcp|udp] [--rounds N] [--seconds S] [--json FILE] [--quick]

Client, server and agent are network namespaces of this machine, joined by virtual Ethernet. In each round each peer has
its turn, with programs that are started for it. A full run writes its tables into docs/benchmarks.md; with --only,
--part or --quick it only prints them. Needs root, and RTUN_BIN.
"""
import argparse
import sys

import report
from lab import Failure, Lab, Site
from peers import RawTCP, RawUDP, choose, tcp_peers, udp_peers


# What --quick measures.
QUICK = ["tcp-cubic", "udp", "rtun", "rtun-quic", "rtun-https"]


def measure_tcp(peer, site, options):
    """One peer's turn with TCP: the results by name, and what failed by name."""
    results, errors = {}, {}

    def attempt(name, *load):
        before = peer.cpu()
        try:
            result = peer.load(*load, timeout=60 + options.seconds)
        except Failure as failure:
            errors[name] = str(failure)
            return
        result["cpu_s"] = peer.cpu() - before
        results[name] = result

    try:
        peer.start(site)
        attempt("idle", "ping", "--interval", 10, "--seconds", min(2, options.seconds))
        for streams in (1, 8):
            for direction in ("down", "up"):
                # From the first byte on, as its CPU time is.
                attempt(
                    f"{direction}{streams}", "bulk", "--direction", direction, "--streams", streams,
                    "--seconds", options.seconds, "--warmup", 0, "--ping", 10,
                )
        for concurrency in (1, 64):
            attempt(
                f"requests{concurrency}", "requests", "--concurrency", concurrency, "--seconds", options.seconds,
            )
        results["peak_memory"] = peer.peak_memory()
    except Failure as failure:
        errors["start"] = str(failure)
    finally:
        peer.stop()
    return results, errors


def measure_udp(peer, site, options):
    """One peer's turn with datagrams."""
    results, errors = {}, {}
    sizes = (64,) if options.quick else (64, 1200)
    flows = (1,) if options.quick else (1, 1000)
    try:
        peer.start(site)
        for echo in (False, True):
            way = "echo" if echo else "oneway"
            for size in sizes:
                for count in flows:
                    for kind, load in (
                        ("latency", ["udp-send", "--rate", 10_000, "--seconds", options.seconds]),
                        ("rate", ["udp-rate", "--step", options.step]),
                    ):
                        # The time on the way is told for one flow only, which is enough.
                        if kind == "latency" and count > 1:
                            continue
                        name = f"{kind}-{way}-{size}-{count}"
                        before = peer.cpu()
                        try:
                            result = peer.load(*load, "--size", size, "--flows", count, echo=echo)
                        except Failure as failure:
                            errors[name] = str(failure)
                            continue
                        result["cpu_s"] = peer.cpu() - before
                        results[name] = result
        results["peak_memory"] = peer.peak_memory()
    except Failure as failure:
        errors["start"] = str(failure)
    finally:
        peer.stop()
    return results, errors


def column(rounds, name, value, **format):
    """A cell: the median over the rounds of what `value` takes from a result."""
    found = [value(results[name]) for results, _ in rounds if name in results]
    return report.spread(found, **format) if found else "failed"


def cost(result):
    """CPU seconds for each gigabyte."""
    return result["cpu_s"] / (result["bytes"] / 1e9) if result["bytes"] else None


def tcp_tables(peers, results):
    rows = {"bulk": [], "requests": [], "ping": []}
    for peer in peers:
        rounds = results[peer.name]
        rate = lambda name: column(rounds, name, lambda one: one["mbit_s"], digits=2, scale=1e-3)
        tunnel = not isinstance(peer, RawTCP)
        spent = lambda name: column(rounds, name, cost, digits=2) if tunnel else "–"
        memory = column(rounds, "peak_memory", lambda one: one, digits=0, scale=1 / (1 << 20)) if tunnel else "–"
        names = ("down1", "up1", "down8", "up8")
        rows["bulk"].append([peer.title, *map(rate, names), spent("down1"), spent("up1"), memory])
        rows["requests"].append(
            [peer.title]
            + [
                column(rounds, f"requests{count}", lambda one: one[key], digits=digits)
                for count in (1, 64)
                for key, digits in (("per_second", 0), ("p50_ms", 2), ("p99_ms", 2))
            ]
        )
        rows["ping"].append(
            [peer.title]
            + [column(rounds, "idle", lambda one: one[key], digits=2) for key in ("p50_ms", "p99_ms")]
            + [
                column(rounds, name, lambda one: one["ping"][key], digits=2)
                for name in ("down1", "down8")
                for key in ("p50_ms", "p99_ms")
            ]
        )
    return "\n\n".join(
        [
            "### TCP: bulk transfers\n\nGbit/s; CPU seconds for each GB of one stream, of all processes of the tunnel "
            "together; their largest resident memory, MiB.",
            report.table(
                ["", "1 stream down", "up", "8 streams down", "up", "CPU s/GB down", "up", "MiB"], rows["bulk"]
            ),
            "### TCP: requests\n\nA new connection, 128 bytes there, 1024 bytes back; times in ms.",
            report.table(["", "1 client, per s", "p50", "p99", "64 clients, per s", "p50", "p99"], rows["requests"]),
            "### TCP: pings\n\n64 bytes there and back each 10 ms, on a connection of its own; ms.",
            report.table(
                ["", "idle, p50", "p99", "beside 1 stream down, p50", "p99", "beside 8 streams, p50", "p99"],
                rows["ping"],
            ),
        ]
    )


def udp_tables(peers, results, options):
    sizes = (64,) if options.quick else (64, 1200)
    flows = (1,) if options.quick else (1, 1000)
    several = {1: "1 flow", 1000: "1000 flows"}
    sections = [
        "### UDP\n\nThousand datagrams a second with less than 0.1 % loss, the most that bisection finds: one way, and "
        "echoed, so that each passes twice. Then, at 10 000 datagrams a second over one flow: µs on the way there, and "
        "there and back; the share of echoes that are missing; and the CPU time of all processes of the tunnel for "
        "each datagram one way, µs."
    ]
    for size in sizes:
        header = [f"{size} bytes"]
        for way in ("one way", "echoed"):
            header += [several[count] for count in flows]
            header[-len(flows)] = f"{way}, {several[flows[0]]}"
        header += ["one way, p50", "p99", "echoed, p50", "p99", "lost, %", "CPU"]
        rows = []
        for peer in peers:
            rounds = results[peer.name]
            latency = lambda way, value, digits=0: column(rounds, f"latency-{way}-{size}-1", value, digits=digits)
            row = [peer.title]
            for way in ("oneway", "echo"):
                for count in flows:
                    name = f"rate-{way}-{size}-{count}"
                    row.append(column(rounds, name, lambda one: one["lossless_per_second"], digits=0, scale=1e-3))
            for way in ("oneway", "echo"):
                row += [latency(way, lambda one: one[key]) for key in ("p50_us", "p99_us")]
            row.append(latency("echo", lambda one: one["loss_percent"], 2))
            spent = latency("oneway", lambda one: one["cpu_s"] * 1e6 / max(1, one["sent"]), 1)
            row.append("–" if isinstance(peer, RawUDP) else spent)
            rows.append(row)
        sections.append(report.table(header, rows))
    return "\n\n".join(sections)


def words(text):
    return [word for word in text.split(",") if word]


def run(kind, peers, measure, options, failed):
    """All rounds of a part; returns for each peer the list of what its turns gave."""
    results = {peer.name: [] for peer in peers}
    for round in range(options.rounds):
        for peer in peers:
            with Lab() as lab:
                result, errors = measure(peer, Site.lan(lab), options)
            results[peer.name].append((result, errors))
            failed += [f"{kind}, {peer.name}, {name}: {error}" for name, error in errors.items()]
            text = []
            for name, one in result.items():
                if name in ("down1", "up1", "down8", "up8"):
                    text.append(f"{name} {one['mbit_s'] / 1000:.2f} Gbit/s")
                elif name.startswith("requests"):
                    text.append(f"{name} {one['per_second']:.0f}/s")
                elif name.startswith("rate"):
                    text.append(f"{name} {one['lossless_per_second'] / 1000:.0f}k/s")
                elif name.startswith("latency"):
                    text.append(f"{name} {one['p50_us']:.0f}/{one['p99_us']:.0f} µs")
            text += [f"{name} failed" for name in errors]
            print(f"{kind} {round + 1}/{options.rounds} {peer.name}: {', '.join(text)}", flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=words, help="peers, by name")
    parser.add_argument("--part", choices=["tcp", "udp"])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="for each measurement")
    parser.add_argument("--step", type=float, help="seconds for each attempt of the search for the highest rate")
    parser.add_argument("--json", metavar="FILE", help="write everything that was measured")
    parser.add_argument("--write", action="store_true",
                        help="write the tables into docs/benchmarks.md though only a part is measured")
    parser.add_argument("--quick", action="store_true", help="rtun and no tunnel only, one round; fails only when "
                        "something does not complete")
    options = parser.parse_args()
    partial = options.only or options.part or options.quick
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (0.7 if options.quick else 3)
    options.step = options.step or (0.15 if options.quick else 0.4)

    failed, sections, everything, measured = [], [], {}, []
    parts = {"tcp": (tcp_peers(), measure_tcp), "udp": (udp_peers(), measure_udp)}
    known = [peer.name for peers, _ in parts.values() for peer in peers]
    for name in options.only or []:
        if name not in known:
            raise Failure(f"there is no peer \"{name}\"; there are {', '.join(dict.fromkeys(known))}")
    for kind, (peers, measure) in parts.items():
        if options.part not in (None, kind):
            continue
        only = options.only or (QUICK if options.quick else None)
        only = only and [peer.name for peer in peers if peer.name in only]
        if only == []:
            continue
        chosen = choose(peers, only)
        measured += chosen
        results = run(kind, chosen, measure, options, failed)
        everything[kind] = results
        if options.json:
            # Again after each part: an interrupted run has been for something.
            facts = {"machine": report.machine(), "commit": report.commit()}
            report.write_json(options.json, {**facts, "parts": everything})
        sections.append(tcp_tables(chosen, results) if kind == "tcp" else udp_tables(chosen, results, options))
        print(f"\n{sections[-1]}\n", flush=True)

    if options.write or not partial:
        introduction = (
            f"Medians of {options.rounds} rounds (in brackets smallest and largest), {options.seconds:g} s each. Load, "
            "tunnel and target share the machine's cores, so that the figures compare, and are not what machines of "
            "their own would reach. In every bulk transfer a ping goes beside it."
        )
        report.write_section("lan", "\n\n".join(["## One machine", introduction, report.facts(measured), *sections]))
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
