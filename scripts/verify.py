#!/usr/bin/env python3
"""Runs all that can be tried of rtun on one machine, and notes in docs/verified.md what was run, when, on which commit.

    make verify                           every step, some four hours (needs root)
    make verify STEPS="dist try-dist"     these only; the notes of the others stay as they are

A step is a target of the Makefile. One that fails is noted too, and the others still run; the exit code is 1 then.
"""
import argparse
import datetime
import os
import pathlib
import platform
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTES = ROOT / "docs/verified.md"
LOGS = ROOT / ".build-verify"
BEGIN, END = "<!-- steps: begin -->", "<!-- steps: end -->"

# What each step proves is the Makefile's help. In an order in which later ones find what earlier ones made.
STEPS = {
    "setup": "make setup",
    "proto-check": "make proto-check",
    "lint": "make lint",
    "test": "make test",
    "test-portable": "make test-portable",
    "debian13": "make debian13",
    "demo": "make demo",
    "dist": "make dist",
    "try-dist": "make try-dist",
    "deb": "make deb",
    "try-deb": "make try-deb",
    "dist-aarch64": "make dist TARGET=aarch64-linux",
    "try-dist-aarch64": "make try-dist TARGET=aarch64-linux",
    "rpm": "make rpm",
    "image": "make image",
    "try-image": "make try-image",
    "fuzz": "make fuzz TIME=120",
    "sanitize": "make sanitize",
    "bench-quick": "make bench-quick",
}
HEAD = ["Step", "Outcome", "Took", "When", "Commit", "On"]


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, text=True, capture_output=True).stdout.strip()


def machine():
    """What the programs ran on: system, architecture, cores."""
    release = platform.freedesktop_os_release()
    version = pathlib.Path("/etc/debian_version")
    number = version.read_text().strip() if version.exists() else release.get("VERSION_ID", "")
    return f"{release['ID'].capitalize()} {number}, {platform.machine()}, {os.cpu_count()} cores"


def noted(text):
    """The rows of the table, by step."""
    rows = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        step = re.fullmatch(r"`(.+)`", cells[0])
        if step and len(cells) == len(HEAD):
            rows[step[1]] = cells
    return rows


def table(rows):
    """The table, as Markdown with its columns aligned."""
    lines = [HEAD] + [rows.get(command, [f"`{command}`", "not run yet", "", "", "", ""])
                      for command in STEPS.values()]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    text = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths))} |" for line in lines]
    text.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return "\n".join(text)


def note(new):
    """Puts rows in place of what was there for their steps."""
    text = NOTES.read_text()
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    rows = noted(old) | {row[0].strip("`"): row for row in new}
    NOTES.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}")


def run(step):
    """Runs a step with its output in a file, and returns whether it passed and how many seconds that took."""
    log = LOGS / f"{step}.log"
    began = time.monotonic()
    with log.open("wb") as output:
        # As in CI, where a test that has to be skipped is a failure.
        code = subprocess.run(STEPS[step].split(), cwd=ROOT, env={**os.environ, "CI": "true"}, stdin=subprocess.DEVNULL,
                              stdout=output, stderr=subprocess.STDOUT).returncode
    took = round(time.monotonic() - began)
    print(f"verify: {step}: {'passed' if code == 0 else f'FAILED, the log is {log}'} ({took} s)", flush=True)
    return code == 0, took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(STEPS)}")
    steps = parser.parse_args().steps or list(STEPS)
    for step in steps:
        if step not in STEPS:
            parser.error(f'there is no step "{step}"; steps: {", ".join(STEPS)}')
    # A note names a commit, so that what is tried has to be it.
    changed = git("status", "--porcelain", "--", ".", f":!{NOTES.relative_to(ROOT)}")
    if changed:
        sys.exit(f"verify: commit or stash first what has changed, since the notes name a commit:\n{changed}")
    LOGS.mkdir(exist_ok=True)
    commit, rows, failed = git("rev-parse", "--short=10", "HEAD"), [], []
    try:
        for step in steps:
            passed, took = run(step)
            outcome, today = "passed" if passed else "**failed**", datetime.date.today().isoformat()
            rows.append([f"`{STEPS[step]}`", outcome, f"{took} s", today, f"`{commit}`", machine()])
            if not passed:
                failed.append(step)
    finally:
        # At the end: programs that are built in a tree with changes say so.
        note(rows)
    if failed:
        sys.exit(f"verify: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
