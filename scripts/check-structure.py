#!/usr/bin/env python3
"""Looks whether the modules are what docs/architecture.md says of them. A part of `make lint`; silent when all is well.

A core has no socket and no C library: what it depends on, and what that depends on in turn, is Swift of ours and the
few products of PORTABLE; and its files import nothing else. No file in Sources has more than MAXIMUM_LINES lines. A type of
LEAN_MODULES with more than MAXIMUM_VARIABLES stored variables says why in a comment. No chain of more than
MAXIMUM_FORWARDERS methods only passes a call on, as far as text shows who calls whom. What is cited of an RFC is cited in
one form, `RFC 8445 §7.2.5.3`.
"""
import collections
import json
import pathlib
import re
import subprocess
import sys

import swift_declarations

ROOT = pathlib.Path(__file__).resolve().parent.parent

CORES = [
    "Basics", "STUN", "ICE", "PeerPath", "SOCKS", "HTTPProxy", "UDPRelay", "UDPAssociation", "AgentChoice", "FlowLedger",
]
# What a core may use of other packages: buffers, addresses and deadlines, and collections.
PORTABLE = {"NIOCore", "DequeModule", "HeapModule"}

# Modules of Swift itself that have neither sockets nor a clock.
LANGUAGE = {"Synchronization"}

MAXIMUM_LINES = 400
# Longer than that for now. A name leaves this list with the reason for it, and none is added.
LONG: set[str] = set()

LEAN_MODULES = {"PeerPath", "PeerChannel", "QUIC"}
MAXIMUM_VARIABLES = 15
MAXIMUM_FORWARDERS = 2

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


def variable_problems(types):
    for (module, name), kept in types.items():
        count = len(kept.variables)
        if module in LEAN_MODULES and count > MAXIMUM_VARIABLES and "stored variable" not in kept.comments:
            yield (f"{kept.place}: {name} has {count} stored variables, more than {MAXIMUM_VARIABLES}, and no comment that"
                   " says why (\"stored variables\" is looked for)")


def forwarder_problems(types):
    named, children = collections.defaultdict(list), collections.defaultdict(list)
    for kept in types.values():
        named[kept.name.split(".")[-1]].append(kept)
        for parent in kept.parents:
            children[parent].append(kept)

    def owners(of, variable):
        """What a stored variable may be, as it is declared: a type, or all that conform to a protocol."""
        kind = of.variables.get(variable, "")
        kind = of.generics.get(kind, kind)
        # Of several types of one name the text does not say which is meant.
        return named[kind] + children[kind] if len(named[kind]) == 1 else []

    def chain(of, method, before=()):
        call = method.passes_on()
        if call is None or method in before:
            return []
        path, name, labels = call
        found = [of]
        for step in path:
            found = [one for owner in found for one in owners(owner, step)]
        rests = [chain(one, next_, (*before, method))
                 for one in found for next_ in one.methods if (next_.name, next_.labels) == (name, labels)]
        return [f"{of.name}.{method.name}", *max(rests, key=len, default=[])]

    for kept in types.values():
        for method in kept.methods:
            names = chain(kept, method)
            if len(names) > MAXIMUM_FORWARDERS:
                yield f"{kept.place}: {' → '.join(names)} only pass a call on: let one of them go"


def citation_problems():
    for file in sorted([*(ROOT / "Sources").rglob("*.swift"), *(ROOT / "Tests").rglob("*.swift")]):
        name, text = str(file.relative_to(ROOT)), file.read_text()
        for found in BAD_CITATION.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{name}:{line}: cite an RFC as in \"RFC 8445 §7.2.5.3\", all on one line"


types = swift_declarations.read(sorted((ROOT / "Sources").rglob("*.swift")), ROOT)
problems = [
    *core_problems(targets()), *length_problems(), *variable_problems(types), *forwarder_problems(types),
    *citation_problems(),
]
for problem in problems:
    print(problem, file=sys.stderr)
sys.exit(1 if problems else 0)
