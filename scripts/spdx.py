#!/usr/bin/env python3
"""Writes down what is linked into a static program, as SPDX 2.3 in JSON, and collects the licences of it.

    scripts/spdx.py PROGRAM MAP BUILD VERSION COMMIT EPOCH TARGET OUTPUT LICENCES

The facts come from the linker's MAP of the program (which archives and objects have given anything to it), from dpkg (which
package an archive is of; on macOS from what packaging/macos/setup.sh has noted), from the checkouts of Swift packages in the folder BUILD, and from pkg-config. What cannot be read
anywhere is what licence the library of a Debian package has, as against its tools and its tests: that is in a table below, and
a package that is missing there is an error.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

# By source package, the libraries' licences as their authors state them.
DEBIAN_LICENCES = {
    "c-ares": "MIT",
    "gcc": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "glibc": "LGPL-2.1-or-later",
    "gmp": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "gnutls28": "LGPL-2.1-or-later",
    "libidn2": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libtasn1-6": "LGPL-2.1-or-later",
    "libunistring": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "libzstd": "BSD-3-Clause OR GPL-2.0-only",
    "nettle": "LGPL-3.0-or-later OR GPL-2.0-or-later",
    "openssl": "Apache-2.0",
    "protobuf-c": "BSD-2-Clause",
    "zlib": "Zlib",
}


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


# Where packaging/macos/setup.sh gathers archives, with their licences and a list of what each is of.
MACOS = pathlib.Path(".build-macos").resolve()


def inputs(map_file):
    """The archives and objects that are in the program, by their paths."""
    found = set()
    if sys.platform == "darwin":
        # "[ 12] /path/lib.a[3](object.o)": which of them have given anything, Apple's linker has looked at already.
        for line in map_file.open(errors="replace"):
            if line.startswith("# Sections"):
                break
            match = re.match(r"\[ *\d+\] (/.*?)(\[\d+\])?(\([^()]*\))?$", line.rstrip("\n"))
            # What is linked as a library of the system is no part of the program.
            if match and not match[1].endswith((".tbd", ".dylib")):
                found.add(match[1])
        return {pathlib.Path(path).resolve() for path in found}
    for line in map_file.open(errors="replace"):
        match = re.match(r"\s*[0-9a-f]+\s+[0-9a-f]+\s+([0-9a-f]+)\s+\d+ {9}(\S.*):\(([^()]*)\)$", line)
        if match and int(match[1], 16) > 0 and not match[3].startswith(".debug"):
            found.add(re.sub(r"\.a\([^()]*\)$", ".a", match[2]))
    return {pathlib.Path(path).resolve() for path in found if not path.startswith("<")}


def licence_of(folder):
    text = "".join(file.read_text() for file in sorted(folder.glob("LICENSE*")))
    if "Apache License" not in text:
        sys.exit(f"spdx: what licence is {folder} under?")
    return "Apache-2.0 WITH Swift-exception" if "Runtime Library Exception" in text else "Apache-2.0"


def swift_packages(build, modules):
    """The Swift packages that `modules` are of; the modules that are of none are this project's."""
    state = json.loads((build / "workspace-state.json").read_text())["object"]["dependencies"]
    for entry in state:
        folder = build / "checkouts" / entry["subpath"]
        its = {path.name for path in (folder / "Sources").rglob("*") if path.is_dir()}
        if not its & modules:
            continue
        location, checkout = entry["packageRef"]["location"], entry["state"]["checkoutState"]
        yield {
            "name": entry["packageRef"]["identity"],
            "version": checkout["version"],
            "location": f"git+{location}@{checkout['revision']}",
            "licence": licence_of(folder),
            "purl": f"pkg:swift/{location.split('://')[-1].removesuffix('.git')}@{checkout['version']}",
            "texts": sorted(folder.glob("LICENSE*")) + sorted(folder.glob("NOTICE*")),
        }


def debian_package(path):
    for name in (str(path), str(path).removeprefix("/usr")):
        search = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True)
        if search.returncode == 0:
            break
    else:
        sys.exit(f"spdx: {path} is of no Debian package")
    package = search.stdout.split(": ")[0].split(",")[0]
    source, version = output_of("dpkg-query", "-W", "-f=${source:Package} ${source:Version}", package).split()
    licence = DEBIAN_LICENCES.get(re.sub(r"^gcc-\d+$", "gcc", source))
    if licence is None:
        sys.exit(f"spdx: what licence is the library in {package} under?")
    return {
        "name": source,
        "version": version,
        "location": "NOASSERTION",
        "licence": licence,
        "purl": f"pkg:deb/debian/{source}@{version.replace('+', '%2B')}?arch=source",
        "texts": [pathlib.Path("/usr/share/doc") / package.split(":")[0] / "copyright"],
    }


def macos_package(path):
    for line in (MACOS / "parts").read_text().splitlines():
        archive, name, version, licence = line.split(" ", 3)
        if archive == path.name:
            return {
                "name": name, "version": version, "location": "NOASSERTION", "licence": licence,
                "purl": f"pkg:brew/{name.replace('@', '%40')}@{version}", "texts": [MACOS / "licences" / f"{name}.txt"],
            }  # fmt: skip
    sys.exit(f"spdx: {path} is of no package that packaging/macos/setup.sh knows")


def main():
    program, map_file, build, version, commit, epoch, target, output, licences = sys.argv[1:]
    build = pathlib.Path(build).resolve()
    compiler = output_of("swift", "--version").splitlines()[0]
    # That of another machine, where it is linked for one (scripts/cross.sh).
    runtime = os.environ.get("RTUN_CROSS_RESOURCES")
    runtime = runtime or json.loads(output_of("swift", "-print-target-info"))["paths"]["runtimeResourcePath"]
    runtime = pathlib.Path(runtime).resolve().parent
    ngtcp2 = pathlib.Path(output_of("pkg-config", "--variable=prefix", "rtun-ngtcp2")).resolve()

    packages, modules = {}, set()
    for path in inputs(pathlib.Path(map_file)):
        if path.is_relative_to(build):
            modules |= {part.removesuffix(".build") for part in path.parts if part.endswith(".build")}
            continue
        if path.is_relative_to(runtime):
            number = re.search(r"Swift version (\S+)", compiler)[1]
            package = {
                "name": "swift", "version": number, "location": "NOASSERTION",
                "licence": "Apache-2.0 WITH Swift-exception",
                "purl": f"pkg:generic/swift@{number}",
                # Or, of Debian's, where Debian has those of all packages.
                "texts": sorted((runtime.parent / "share/swift").glob("LICENSE*"))
                or [path for above in runtime.parents for path in above.glob("share/doc/swiftlang/copyright")],
            }  # fmt: skip
        elif path.is_relative_to(ngtcp2):
            number = output_of("pkg-config", "--modversion", "rtun-ngtcp2")
            package = {
                "name": "ngtcp2", "version": number, "location": "https://github.com/ngtcp2/ngtcp2",
                "licence": "MIT", "purl": f"pkg:github/ngtcp2/ngtcp2@v{number}", "texts": [ngtcp2 / "COPYING"],
            }  # fmt: skip
        else:
            package = macos_package(path) if sys.platform == "darwin" else debian_package(path)
        packages[package["name"]] = package
    packages |= {package["name"]: package for package in swift_packages(build, modules)}

    def entry(name, version, location, licence, references):
        return {
            "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name),
            "name": name,
            "versionInfo": version,
            "downloadLocation": location,
            "filesAnalyzed": False,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": licence,
            "copyrightText": "NOASSERTION",
            "externalRefs": references,
        }

    listed = [
        entry(
            package["name"], package["version"], package["location"], package["licence"],
            [{
                "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                "referenceLocator": package["purl"],
            }],
        )
        for _, package in sorted(packages.items())
    ]  # fmt: skip
    itself = entry(program, version, "NOASSERTION", "MIT", [])
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{program}-{target}",
        "documentNamespace": f"https://spdx.org/spdxdocs/{program}-{target}-{version}-{commit}",
        "creationInfo": {
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(epoch))),
            "creators": ["Tool: rtun-scripts/spdx.py"],
            "comment": compiler,
        },
        "packages": [itself] + listed,
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": itself["SPDXID"],
            }
        ]
        + [
            {
                "spdxElementId": itself["SPDXID"],
                "relationshipType": "STATIC_LINK",
                "relatedSpdxElement": package["SPDXID"],
            }
            for package in listed
        ],
    }
    pathlib.Path(output).write_text(json.dumps(document, indent=2) + "\n")
    for name, package in packages.items():
        if not package["texts"]:
            sys.exit(f"spdx: there is no licence of {name}")
        for text in package["texts"]:
            suffix = "-NOTICE" if text.name.startswith("NOTICE") else ""
            shutil.copyfile(text, pathlib.Path(licences) / f"{name}{suffix}.txt")


main()
