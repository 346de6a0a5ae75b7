#!/usr/bin/env python3
"""Turns what the matrix of the NAT laboratory has measured into tables for docs/nat.md: scripts/nat_table.py <ROWS

The rows, which Tests/NATLabTests writes, are a Markdown table with a line for each pair of kinds and each program. What
comes out has one matrix for each program, a table of the pairs with IPv6, and what is alike in all pairs as ranges.
"""

import re
import statistics
import sys

HEAD = ["client behind", "agent behind", "program", "path", "first byte", "direct after", "goodput"]


def fail(message):
    sys.exit(f"nat_table: {message}")


def read(lines):
    """The measurements, a dictionary each, in the order of the rows."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if line.strip()]
    if rows[:1] != [HEAD]:
        fail("the first line is not the expected head of a table")
    for row in rows[2:]:
        if len(row) != len(HEAD):
            fail(f"a row does not have {len(HEAD)} cells: {row}")
    return [dict(zip(HEAD, row)) for row in rows[2:]]


def number(text, unit):
    """The number in front of a unit; None where there is none."""
    match = re.search(rf"(\d+(?:\.\d+)?) {re.escape(unit)}", text)
    return float(match[1]) if match else None


def cell(row):
    """When the path was direct, in milliseconds or seconds; or which path it was instead."""
    after = number(row["direct after"], "ms")
    if row["path"] != "direct" or after is None:
        return row["path"]
    return f"{after:.0f} ms" if after < 1000 else f"{after / 1000:.1f} s"


def spread(values, unit):
    """The median, and what lies between the smallest and the largest."""
    return f"{statistics.median(values):.0f} {unit} ({min(values):.0f} to {max(values):.0f})"


def kinds(rows):
    """The kinds of one address family, in the order of the rows."""
    return list(dict.fromkeys(row["client behind"] for row in rows if "ipv6" not in row["client behind"]))


def matrix(rows, names):
    cells = {(row["client behind"], row["agent behind"]): cell(row) for row in rows}
    print("| client ↓, agent → | " + " | ".join(names) + " |")
    print("|---|" + "---|" * len(names))
    for client in names:
        print(f"| **{client}** | " + " | ".join(cells.get((client, agent), "–") for agent in names) + " |")


def ranges(rows):
    print(f"* First byte: {spread([number(row['first byte'], 'ms') for row in rows], 'ms')}.")
    for path in dict.fromkeys(row["path"] for row in rows):
        chosen = [row["goodput"] for row in rows if row["path"] == path]
        rates = [rate for rate in (number(text, "Mbit/s") for text in chosen) if rate is not None]
        lost = [share for share in (number(text, "% lost") for text in chosen) if share is not None]
        loss = f", up to {max(lost):.1f} % lost" if any(lost) else ", nothing lost" if lost else ""
        if rates:
            print(f"* Goodput, {path}: {spread(rates, 'Mbit/s')}{loss}.")


def main():
    rows = read(sys.stdin)
    names = kinds(rows)
    programs = list(dict.fromkeys(row["program"] for row in rows))
    inside = [row for row in rows if row["client behind"] in names and row["agent behind"] in names]
    others = [row for row in rows if row not in inside]
    for program in programs:
        print(f"### {program}\n")
        matrix([row for row in inside if row["program"] == program], names)
        print()
        ranges([row for row in rows if row["program"] == program])
        print()
    print("### With IPv6\n")
    print("| client | agent | " + " | ".join(programs) + " |")
    print("|---|---|" + "---|" * len(programs))
    for pair in dict.fromkeys((row["client behind"], row["agent behind"]) for row in others):
        found = {row["program"]: cell(row) for row in others if (row["client behind"], row["agent behind"]) == pair}
        print("| " + " | ".join([*pair, *(found.get(program, "–") for program in programs)]) + " |")


if __name__ == "__main__":
    main()
