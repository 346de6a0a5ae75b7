#!/usr/bin/env python3
"""The linker of scripts/dist.sh: lld of Swift's toolchain, which leaves out what a program does not use, with some things
changed in what it is given (in copies).

Swift flags every public function and variable to be kept, used or not (SHF_GNU_RETAIN), for code that is loaded later. A
static program has none, so the flag goes; what the runtime looks for by itself, such as the conformances of types, is in
sections with names of their own, and stays. The compiler's -internalize-at-link does the same, but not for the archives that
come with the toolchain.

Swift's tables for unwinding (.eh_frame) go, too: it has no exceptions, and frame pointers serve debuggers and profilers.
Those of C stay, because libdispatch ends the main thread by pthread_exit, which unwinds as far as there are tables.

On ARM, GnuTLS and OpenSSL have the same functions for AES from the same author, in versions of their own and under one name.
Those of GnuTLS get another (of the same length, so that nothing else in the archive moves).

docs/building.md has the figures. FILE.map beside FILE, the program, tells what it is made of.
"""

import json
import pathlib
import re
import shlex
import shutil
import struct
import subprocess
import sys

RETAIN, EXCLUDE = 0x200000, 0x80000000
RENAMED = {"libgnutls.a": (b"aes_v8_", b"tls_v8_")}


def objects(data):
    """The place of each object of an archive, or of the one that the file is."""
    if data[:8] != b"!<arch>\n":
        yield 0
        return
    position = 8
    while position + 60 <= len(data):
        yield position + 60
        size = int(data[position + 48 : position + 58])
        position += 60 + size + (size & 1)


def sections(data, base):
    """Name, flags and the place of the header of each section of a 64-bit ELF object."""
    if data[base : base + 6] != b"\x7fELF\x02\x01":
        return
    table, = struct.unpack_from("<Q", data, base + 40)
    count, names = struct.unpack_from("<HH", data, base + 60)
    # Where there are too many sections for these fields, the first section's header has the numbers.
    first = struct.unpack_from("<IIQQQQIIQQ", data, base + table)
    count, names = count or first[5], first[6] if names == 0xFFFF else names
    strings = base + struct.unpack_from("<Q", data, base + table + 64 * names + 24)[0]
    for header in range(base + table, base + table + 64 * count, 64):
        name, _, flags = struct.unpack_from("<IIQ", data, header)
        yield data[strings + name : data.index(b"\0", strings + name)].decode(), flags, header


def changed(data):
    """Changes the objects of Swift in `data`; whether there were any."""
    found = False
    for base in objects(data):
        its = list(sections(data, base))
        if not any(name.startswith((".swift", "swift5_")) for name, _, _ in its):
            continue
        found = True
        for name, flags, header in its:
            # Sections that the runtime looks for have names that C can spell.
            if not name.isidentifier():
                flags &= ~RETAIN
            if name == ".eh_frame":
                flags |= EXCLUDE
            struct.pack_into("<Q", data, header + 8, flags)
    return found


def find_linker():
    """lld of Swift's toolchain, or where the toolchain has none, as Debian's, the one in PATH."""
    target = json.loads(subprocess.run(["swift", "-print-target-info"], check=True, capture_output=True).stdout)
    own = pathlib.Path(target["paths"]["runtimeResourcePath"]).parent.parent / "bin/ld.lld"
    linker = own if own.exists() else shutil.which("ld.lld")
    return linker or sys.exit("dist-link: there is no ld.lld")


def main():
    linker = find_linker()
    arguments = []
    for argument in sys.argv[1:]:
        if argument.startswith("@"):
            arguments += shlex.split(pathlib.Path(argument[1:]).read_text())
        else:
            arguments.append(argument)
    output = pathlib.Path(arguments[arguments.index("-o") + 1])
    folders = [pathlib.Path(argument[2:]) for argument in arguments if argument.startswith("-L")]

    copies = pathlib.Path(f"{output}.copies")
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir()
    originals, made = {}, {}

    def copy(argument):
        path = pathlib.Path(argument)
        if argument.startswith("-l"):
            found = (folder / f"lib{argument[2:]}.a" for folder in folders)
            path = next((path for path in found if path.is_file()), path)
        if path.suffix not in (".o", ".a") or not path.is_file():
            return argument
        if path not in made:
            data = bytearray(path.read_bytes())
            made[path] = argument
            name = RENAMED.get(path.name)
            rename = name is not None and name[0] in data
            if rename:
                data = data.replace(*name)
            if changed(data) or rename:
                place = copies / f"{len(originals)}-{path.name}"
                place.write_bytes(data)
                originals[place] = path
                made[path] = str(place)
        return made[path]

    linked = subprocess.run([
        linker, *map(copy, arguments),
        # That of a build would be another one for each folder that it is made in.
        "--build-id=none", f"--Map={output}.map",
    ])  # fmt: skip
    # Whoever reads the map wants to know what the copies are copies of.
    table = pathlib.Path(f"{output}.map")
    if table.exists():
        names = {str(place): str(original) for place, original in originals.items()}
        pattern = re.escape(str(copies)) + r"/[^:(\n]*"
        text = re.sub(pattern, lambda match: names[match[0]], table.read_text(errors="replace"))
        table.write_text(text)
    shutil.rmtree(copies)
    sys.exit(linked.returncode)


main()
