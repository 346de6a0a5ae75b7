#!/usr/bin/env python3
"""Looks whether the modules are what docs/architecture.md says of them. A part of `make lint`; silent when all is well.

A core has no socket and no C library: what it depends on, and what that depends on in turn, is Swift of ours and the
few products of PORTABLE; and its files import nothing else. No file in Sources has more than MAXIMUM_LINES lines. What is
cited of an RFC is cited in one form, `RFC 8445 §7.2.5.3`.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

CORES = ["Basics", "STUN", "ICE", "PeerPath", "SOCKS", "UDPRelay", "UDPAssociation", "AgentChoice", "FlowLedger"]
# What a core may use of other packages: buffers, addresses and deadlines, and collections.
PORTABLE = {"NIOCore", "DequeModule", "HeapModule"}

# Modules of Swift itself that have neither sockets nor a clock.
LANGUAGE = {"Synchronization"}

MAXIMUM_LINES = 400
# Longer than that for now. A name leaves this list with the reason for it, and none is added.
LONG: set[str] = set()

BAD_CITATION = re.compile(r"RFC ?\d+(?:'s)?,? (?:[Ss]ections?|[Aa]ppendix|§ )|RFC(?: \d+)?\n\s*//+ (?:\d+ )?(?:§|[Ss]ection)")

IMPORT = re.compile(r"^\s*(?:@\w+\s+)*(?:\w+\s+)?import\s+(?:(?:struct|class|enum|protocol|func|var)\s+)?(\w+)", re.M)


def targets():
    """The package's targets by name, each with the names of what it depends on."""
    dump = subprocess.run(["swift", "package", "dump-package"], cwd=ROOT, check=True, capture_output=True, text=True)
    found = {}
    for target in json.loads(dump.stdout)["targets"]:
        # An entry is {"byName": [name, …]}, {"product": [name, …]} or {"target": [name, …]}.
        names = [next(iter(entry.values()))[0] for entry in target["dependencies"]]
        found[target["name"]] = {"path": ROOT / (target["path"] or ""), "dependencies": names}
    return found


def closure(name, known, chain=()):
    """(A chain of names from `name` down, the last name) for all that `name` depends on."""
    for dependency in known[name]["dependencies"]:
        yield (*chain, name, dependency), dependency
        if dependency in known:
            yield from closure(dependency, known, (*chain, name))


def core_problems(known):
    for core in CORES:
        if core not in known:
            yield f"{core} is no target; correct CORES in {pathlib.Path(__file__).name}"
            continue
        for chain, name in closure(core, known):
            if name in known:
                if not any(known[name]["path"].rglob("*.swift")):
                    yield f"the core {core} depends on C: {' → '.join(chain)}"
            elif name not in PORTABLE:
                yield f"the core {core} depends on {name}: {' → '.join(chain)}"
        for file in sorted(known[core]["path"].rglob("*.swift")):
            for name in IMPORT.findall(file.read_text()):
                if name not in known[core]["dependencies"] and name not in LANGUAGE:
                    yield f"{file.relative_to(ROOT)} imports {name}, on which its target {core} does not depend"


def length_problems():
    long = set()
    for file in sorted((ROOT / "Sources").rglob("*")):
        # The code of CAppProto is generated.
        if file.suffix not in {".swift", ".c", ".h"} or "CAppProto" in file.parts:
            continue
        count = len(file.read_text().splitlines())
        if count > MAXIMUM_LINES:
            name = str(file.relative_to(ROOT))
            long.add(name)
            if name not in LONG:
                yield f"{name} has {count} lines, more than {MAXIMUM_LINES}: what is it two of?"
    for name in sorted(LONG - long):
        yield f"{name} is not longer than {MAXIMUM_LINES} lines; take it out of LONG in {pathlib.Path(__file__).name}"


def citation_problems():
    for file in sorted([*(ROOT / "Sources").rglob("*.swift"), *(ROOT / "Tests").rglob("*.swift")]):
        name, text = str(file.relative_to(ROOT)), file.read_text()
        for found in BAD_CITATION.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{name}:{line}: cite an RFC as in \"RFC 8445 §7.2.5.3\", all on one line"


problems = [*core_problems(targets()), *length_problems(), *citation_problems()]
for problem in problems:
    print(problem, file=sys.stderr)
sys.exit(1 if problems else 0)
