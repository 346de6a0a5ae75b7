#!/usr/bin/env python3
"""Describes packages for nfpm and has it make them: scripts/packages.py deb|rpm... (scripts/packages.sh prepares it).

DIST (dist) has the programs, and gets the packages. TARGET (x86_64-linux) is the machine that they are for, EMULATOR what runs
programs for it here if they do not run by themselves. PACKAGE_VERSION is the program's own unless given, MAINTAINER is who answers
for the packages.
"""

import gzip
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
from datetime import datetime, timezone
from email.utils import formatdate
from pathlib import Path

import program_files

HERE = Path(__file__).resolve().parent.parent
DIST = Path(os.environ.get("DIST", HERE / "dist")).resolve()
BUILD = HERE / ".build-packages"
HOST = f"{platform.machine()}-linux"
TARGET = os.environ.get("TARGET") or HOST
MAINTAINER = os.environ.get("MAINTAINER", "the rtun authors <rtun@rtun.invalid>")
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
# What Debian and Red Hat call a machine; nfpm goes by Go's names, which are Debian's.
ARCHITECTURES = {"x86_64-linux": "amd64", "aarch64-linux": "arm64"}

PROJECT = (
    "rtun lets traffic leave from machines that nobody can reach from outside, as in an office, a home, or a cloud network behind "
    "NAT. An agent runs there, a SOCKS and HTTP proxy or a relay of fixed ports where the traffic comes from, and a small public server "
    "introduces the two. The traffic goes straight between them, encrypted, or through the server if there is no direct path."
)
DESCRIPTIONS = {
    "server": "This is the server: it authenticates agents and clients, introduces them to each other, answers STUN, and relays, "
    "still encrypted end to end, the traffic of peers without a direct path.",
    "agent": "This is the agent: clients reach TCP and UDP targets through it, as its rules allow. No port has to be opened.",
    "socks": "This is the proxy: it speaks SOCKS 5, 4a and 4, and HTTP, finds an agent, and has names resolved there.",
    "relay": "This is the relay: it listens on local UDP and TCP ports, whose traffic leaves from an agent to fixed targets.",
    "": "This is the command 'rtun', which turns 'rtun agent listen', 'rtun agent pub', 'rtun socks' and 'rtun relay' into the four "
    "programs. They are in packages of their own, to be installed where they are needed.",
}
SUMMARIES = {
    "server": "introduces clients to agents of rtun, a peer-to-peer reverse proxy",
    "agent": "lets clients' traffic leave from this machine, peer to peer",
    "socks": "SOCKS and HTTP proxy whose connections leave from an agent",
    "relay": "local UDP and TCP ports whose traffic leaves from an rtun agent",
    "": "one command in front of the programs of rtun",
}
# Why the packages are as lintian would not have them.
OVERRIDES = {
    "statically-linked-binary": "The program brings what it needs, so that it runs on any system.",
    "embedded-library": "Linked in, as all that it needs; the SPDX list beside this package's documentation has the versions.",
    "non-standard-dir-perm": "Keys are in there, which systemd reads for the service.",
    "non-standard-file-perm": "There may be passwords in the configuration; the service is in the group that it gets (postinst).",
    "extra-license-file": "The licences of what is linked in.",
    "initial-upload-closes-no-bugs": "It is not part of Debian.",
}


def fail(message):
    sys.exit(f"packages: {message}")


def compressed(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def fill(text, short):
    return text.replace("@SHORT@", short).replace("@TODO@", program_files.TODO.get(short, ""))


class Package:
    """What one package has: a list of contents for nfpm, and files made for it in a folder of its own."""

    def __init__(self, short, version):
        self.short = short
        self.name = f"rtun-{short}" if short else "rtun"
        self.version = version
        self.folder = BUILD / self.name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.contents = []

    def add(self, source, destination, mode=0o644, **more):
        information = {"mode": mode, "owner": "root", "group": "root", **more.pop("information", {})}
        self.contents.append({"src": str(source), "dst": destination, "file_info": information, **more})

    def add_folder(self, destination, mode=0o755):
        self.contents.append({"dst": destination, "type": "dir", "file_info": {"mode": mode, "owner": "root", "group": "root"}})

    @property
    def description(self):
        paragraphs = [PROJECT, DESCRIPTIONS[self.short]]
        return "\n".join([SUMMARIES[self.short], *"\n.\n".join(textwrap.fill(text, 76) for text in paragraphs).split("\n")])

    @property
    def documentation(self):
        return f"/usr/share/doc/{self.name}"

    def add_documentation(self, parts):
        """Copyright, changelogs and, with `parts`, what is linked in."""
        licence = (HERE / "LICENSE").read_text()
        notice = (
            f"What is linked into the program has licences of its own: {self.documentation}/licences has them, and\n"
            f"{self.documentation}/{self.name}.spdx.json.gz says what it is.\n\n"
        )
        for name, text in {
            "copyright": f"rtun\n\n{notice if parts else ''}The licence of rtun, MIT:\n\n{licence}",
        }.items():
            (self.folder / name).write_text(text)
            self.add(self.folder / name, f"{self.documentation}/{name}")
        compressed(self.folder / "changelog.gz", (HERE / "CHANGELOG.md").read_text())
        self.add(self.folder / "changelog.gz", f"{self.documentation}/changelog.gz")
        compressed(
            self.folder / "changelog.Debian.gz",
            f"{self.name} ({self.version}-1) unstable; urgency=medium\n\n  * Made from the source tree; see changelog.gz.\n\n"
            f" -- {MAINTAINER}  {formatdate(EPOCH)}\n",
        )
        self.add(self.folder / "changelog.Debian.gz", f"{self.documentation}/changelog.Debian.gz", packager="deb")

    def add_overrides(self, tags):
        lines = []
        for tag in tags:
            lines += [f"# {OVERRIDES[tag]}", f"{self.name} binary: {tag}"]
        (self.folder / "overrides").write_text("\n".join(lines) + "\n")
        self.add(self.folder / "overrides", f"/usr/share/lintian/overrides/{self.name}", packager="deb")

    def add_manual(self, text):
        compressed(self.folder / f"{self.name}.1.gz", text)
        self.add(self.folder / f"{self.name}.1.gz", f"/usr/share/man/man1/{self.name}.1.gz")

    def add_completions(self, bash, zsh, fish):
        self.add(bash, f"/usr/share/bash-completion/completions/{self.name}")
        # Where zsh looks: Debian keeps site-functions for the administrator.
        self.add(zsh, f"/usr/share/zsh/vendor-completions/_{self.name}", packager="deb")
        self.add(zsh, f"/usr/share/zsh/site-functions/_{self.name}", packager="rpm")
        self.add(fish, f"/usr/share/fish/vendor_completions.d/{self.name}.fish")

    def scripts(self, kind, names):
        """Maintainer scripts, by nfpm's names for them."""
        scripts = {}
        for script, file in names.items():
            path = self.folder / kind / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(fill((HERE / "packaging" / kind / file).read_text(), self.short))
            scripts[script] = str(path)
        return scripts

    def describe(self, kind):
        """What nfpm reads, which may be JSON, since that is YAML as well."""
        description = {
            "name": self.name,
            "arch": ARCHITECTURES[TARGET] if self.short else "all",
            "platform": "linux",
            "version": self.version,
            "version_schema": "none",
            "release": "1",
            "section": "net",
            "priority": "optional",
            "maintainer": MAINTAINER,
            # Red Hat has the summary elsewhere, and empty lines empty.
            "description": self.description if kind == "deb" else self.description.split("\n", 1)[1].replace("\n.\n", "\n\n"),
            "license": "MIT",
            "mtime": iso(EPOCH),
            "umask": 0o022,
            "contents": self.contents,
            "deb": {"compression": "gzip"},
            "rpm": {"compression": "zstd", "summary": SUMMARIES[self.short], "buildhost": "localhost"},
        }
        if not self.short:
            programs = [f"rtun-{short}" for short in program_files.TODO]
            description["suggests"] = programs
        elif kind == "deb":
            description["scripts"] = self.scripts(
                "deb", {"postinstall": "postinst", "preremove": "prerm", "postremove": "postrm"}
            )
            description["depends"] = ["init-system-helpers (>= 1.54~)", "passwd"]
            description["suggests"] = ["rtun"]
        else:
            names = ("preinstall", "postinstall", "preremove", "postremove")
            description["scripts"] = self.scripts("rpm", {name: name for name in names})
            description["depends"] = ["shadow-utils"]
        path = self.folder / f"{kind}.json"
        path.write_text(json.dumps(description, indent=2) + "\n")
        return path

    def make(self, kind):
        architecture = ARCHITECTURES[TARGET] if self.short else "all"
        if kind == "deb":
            file = f"{self.name}_{self.version}-1_{architecture}.deb"
        else:
            file = f"{self.name}-{self.version}-1.{TARGET.removesuffix('-linux') if self.short else 'noarch'}.rpm"
        # Those of other versions.
        for old in DIST.glob(file.replace(self.version, "[0-9]*", 1) + "*"):
            old.unlink()
        subprocess.run(
            [os.environ["NFPM"], "package", "--config", self.describe(kind), "--packager", kind, "--target", DIST / file],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        checksum = hashlib.sha256((DIST / file).read_bytes()).hexdigest()
        (DIST / f"{file}.sha256").write_text(f"{checksum}  {file}\n")
        print(f"{(DIST / file).stat().st_size:>10}  {DIST / file}")


def iso(epoch):
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def program_package(short):
    file = DIST / f"rtun-{short}-{TARGET}"
    if not file.exists():
        fail(f"there is no {file}; make dist makes it")
    made = BUILD / "files" / f"rtun-{short}"
    shutil.rmtree(made, ignore_errors=True)
    subprocess.run([sys.executable, HERE / "scripts/program_files.py", file, made], check=True)
    package = Package(short, version_of(file))
    name = package.name

    package.add(file, f"/usr/bin/{name}", 0o755)
    package.add(made / f"{name}.service", f"/usr/lib/systemd/system/{name}.service")
    package.add(HERE / "packaging/systemd/sysusers.conf", f"/usr/lib/sysusers.d/{name}.conf")
    package.add_folder("/etc/rtun")
    configuration = made / f"{name}.toml"
    # There may be passwords in it. Debian's group comes with the installation (postinst).
    package.add(configuration, f"/etc/rtun/{name}.toml", 0o640, type="config", packager="deb")
    package.add(
        configuration,
        f"/etc/rtun/{name}.toml",
        0o640,
        type="config|noreplace",
        packager="rpm",
        information={"group": "rtun"},
    )
    overrides = ["statically-linked-binary", "embedded-library", "initial-upload-closes-no-bugs", "non-standard-file-perm"]
    if short == "server":
        package.add_folder("/etc/rtun/tls", 0o700)
        overrides.append("non-standard-dir-perm")
    package.add_manual((made / f"{name}.1").read_text())
    package.add_completions(
        made / f"completions/{name}.bash", made / f"completions/_{name}", made / f"completions/{name}.fish"
    )

    # What is linked in, which make dist has put beside the program.
    parts = DIST / f"{file.name}.spdx.json"
    archive = DIST / f"{file.name}.tar.gz"
    if parts.exists() and archive.exists():
        compressed(package.folder / f"{name}.spdx.json.gz", parts.read_text())
        package.add(package.folder / f"{name}.spdx.json.gz", f"{package.documentation}/{name}.spdx.json.gz")
        with tarfile.open(archive) as members:
            for member in members:
                match = re.fullmatch(r"[^/]+/licences/([\w.+-]+)", member.name)
                if match and member.isfile():
                    target = package.folder / "licences" / match[1]
                    target.parent.mkdir(exist_ok=True)
                    compressed(target.with_name(target.name + ".gz"), members.extractfile(member).read().decode())
                    package.add(f"{target}.gz", f"{package.documentation}/licences/{match[1]}.gz")
        overrides.append("extra-license-file")
    compressed(package.folder / "operations.md.gz", (HERE / "docs/operations.md").read_text())
    package.add(package.folder / "operations.md.gz", f"{package.documentation}/operations.md.gz")
    package.add_documentation(parts.exists() and archive.exists())
    package.add_overrides(overrides)
    return package


def version_of(program):
    if "PACKAGE_VERSION" in os.environ:
        return os.environ["PACKAGE_VERSION"]
    command = [*program_files.EMULATOR, program, "--version"]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0]
    if not re.fullmatch(r"\d[\w.+~]*", version):
        fail(f"{program} has a version that no package can have: {version}")
    return version


def front_package():
    package = Package("", version_of(DIST / f"rtun-server-{TARGET}"))
    front = package.folder / "rtun"
    subprocess.run([HERE / "scripts/front.sh", front], check=True)
    package.add(front, "/usr/bin/rtun", 0o755)
    manual = (HERE / "packaging/front/rtun.1").read_text()
    package.add_manual(manual.replace("@VERSION@", package.version).replace("@DATE@", iso(EPOCH)[:10]))
    completions = HERE / "packaging/front/completions"
    package.add_completions(completions / "rtun.bash", completions / "_rtun", completions / "rtun.fish")
    package.add_documentation(parts=False)
    package.add_overrides(["initial-upload-closes-no-bugs"])
    return package


def main():
    kinds = sys.argv[1:]
    if not kinds or set(kinds) - {"deb", "rpm"}:
        sys.exit(__doc__)
    if TARGET not in ARCHITECTURES:
        fail(f"there are no packages for {TARGET}")
    for package in [*(program_package(short) for short in program_files.TODO), front_package()]:
        for kind in kinds:
            package.make(kind)


if __name__ == "__main__":
    main()
