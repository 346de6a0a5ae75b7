"""Medians, tables, and their place in docs/benchmarks.md."""
import json
import os
import re
import statistics
import subprocess
import sys
import time

from lab import ROOT

ARGUMENTS = [f"RTUN_{program}_ARGS" for program in ("SERVER", "AGENT", "SOCKS", "RELAY")]
DOCUMENT = os.path.join(ROOT, "docs", "benchmarks.md")


def spread(values, digits=1, scale=1.0):
    """The median, and in brackets the smallest and the largest if there are several."""
    values = [value * scale for value in values if value is not None]
    if not values:
        return "–"
    text = lambda value: f"{value:.{digits}f}" if value < 1000 or digits else f"{value:,.0f}".replace(",", " ")
    middle = text(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({text(min(values))}–{text(max(values))})"


def table(header, rows):
    """A Markdown table, padded so that it reads as plain text, too; all columns but the first are aligned right."""
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]

    def line(cells):
        first, *others = zip(map(str, cells), widths)
        return f"| {' | '.join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])} |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join([line(header), f"|{rule}|", *map(line, rows)])


def machine():
    """What it was measured on, in a sentence."""
    with open("/proc/cpuinfo") as file:
        found = re.search(r"model name\s*: (.*)", file.read())
    model = " ".join(found.group(1).split()) if found else os.uname().machine
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / (1 << 20)
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, Linux {os.uname().release.split('-')[0]}"


def commit():
    """The commit of the working tree, with a mark when it is not exactly that."""
    described = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=10"], capture_output=True, text=True
    )
    return described.stdout.strip() or "unknown"


def facts(peers):
    """The list in front of the tables."""
    versions = sorted({version for peer in peers if (version := peer.version())})
    words = [f"{name}='{os.environ[name]}'" for name in ARGUMENTS if os.environ.get(name)]
    words += [os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:]]
    return "\n".join(
        [
            f"* {time.strftime('%Y-%m-%d')}, commit `{commit()}`, `{' '.join(words)}`",
            f"* {machine()}",
            f"* {', '.join(versions)}",
        ]
    )


def write_section(name, text):
    """Replaces what is between the comments of that name in docs/benchmarks.md, or appends it."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    content = "# Benchmarks\n"
    if os.path.exists(DOCUMENT):
        with open(DOCUMENT) as file:
            content = file.read()
    section = f"{begin}\n{text.strip()}\n{end}"
    if begin in content and end in content:
        before, rest = content.split(begin, 1)
        content = before + section + rest.split(end, 1)[1]
    else:
        content = f"{content.rstrip()}\n\n{section}\n"
    with open(DOCUMENT, "w") as file:
        file.write(content)


def write_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")
