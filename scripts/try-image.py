#!/usr/bin/python3
"""Tries the images of `make image` without an engine: `make try-image`.

The file systems of the images of the four programs, read from the archives as an engine reads them and mounted read-only, become roots of
processes that have the image's user, environment and entry point, and what compose.yaml adds to them: no capabilities, no new
privileges. Server and agent get their commands from compose.yaml. A file is downloaded through proxy and agent and compared, a
datagram goes through the relay and back, the server's health check is asked while it runs and after that, and all of them have
to end well when they are asked to. The image of the command `rtun` has to find all programs and to become one of them. Of the
images for another machine (TARGET=aarch64-linux) only the contents are looked at.

All of it happens in namespaces of its own. Needs root.
"""

import ctypes
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time

import yaml

HERE = pathlib.Path(__file__).resolve().parent.parent
HOST = os.uname().machine + "-linux"
TARGET = os.environ.get("TARGET") or HOST
FOLDER = HERE / ".build-try-image"
PROGRAMS = ["rtun-server", "rtun-agent", "rtun-socks", "rtun-relay"]
FRONT = "rtun"
# The machine's own address there.
ADDRESS = "192.0.2.1"
SECRET = os.urandom(16).hex()


def fail(words):
    sys.exit(f"try-image: {words}; logs are in {FOLDER}")


def check(condition, words):
    if not condition:
        fail(words)


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Image:
    """An image out of its OCI archive: `config` as the image has it, and `root`, its files."""

    def __init__(self, program):
        self.program = program
        self.name = f"{program}-{TARGET}"
        with tarfile.open(HERE / "dist" / f"{self.name}.oci.tar") as archive:
            self.files = {
                os.path.normpath(member.name): archive.extractfile(member).read() for member in archive if member.isfile()
            }
        check(json.loads(self.files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}, f"{program}: layout")
        (entry,) = json.loads(self.files["index.json"])["manifests"]
        reference = entry["annotations"]["org.opencontainers.image.ref.name"]
        check(reference == f"localhost/{program}:latest", f"{program}: is called {reference}")
        manifest = json.loads(self.blob(entry))
        self.config = json.loads(self.blob(manifest["config"]))
        self.root = FOLDER / program
        self.root.mkdir()
        self.paths = []
        layers = [gzip.decompress(self.blob(layer)) for layer in manifest["layers"]]
        check([sha256(layer) for layer in layers] == self.config["rootfs"]["diff_ids"], f"{program}: layers")
        for layer in layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
                for member in archive:
                    self.unpack(archive, member)

    def blob(self, descriptor):
        data = self.files["blobs/" + descriptor["digest"].replace(":", "/")]
        check(sha256(data) == descriptor["digest"] and len(data) == descriptor["size"], f"{self.program}: a blob is damaged")
        return data

    def unpack(self, archive, member):
        path = os.path.normpath(member.name)
        what = f"{self.program}: {path}"
        check(not path.startswith(("/", "..")) and "/.wh." not in "/" + path, f"{what}: no path for an image of one program")
        check(member.isfile() or member.isdir(), f"{what}: neither a file nor a folder")
        check((member.uid, member.gid) == (0, 0) and not member.mode & 0o6022, f"{what}: owner or mode")
        target = self.root / path
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            self.paths.append(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.extractfile(member).read())
        target.chmod(member.mode)

    def inspect(self, version):
        """What an image has to be, whatever it does."""
        program, config = self.program, self.config["config"]
        machine = {"x86_64-linux": "amd64", "aarch64-linux": "arm64"}[TARGET]
        check((self.config["os"], self.config["architecture"]) == ("linux", machine), f"{program}: for another machine")
        check(re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", config["User"]), f"{program}: user {config['User']}")
        check(config["Entrypoint"] == [f"/usr/bin/{program}"], f"{program}: entry point")
        labels = config["Labels"]
        for label in ("title", "description", "version", "revision", "licenses"):
            check(labels.get(f"org.opencontainers.image.{label}"), f"{program}: no label {label}")
        check(labels["org.opencontainers.image.version"] == version, f"{program}: version")
        parts = PROGRAMS if program == FRONT else [program]
        for part in parts:
            binary = (self.root / "usr/bin" / part).read_bytes()
            check(binary == (HERE / "dist" / f"{part}-{TARGET}").read_bytes(), f"{program}: another {part} than in dist/")
            documents = f"usr/share/doc/{part}/"
            check({documents + "LICENSE", documents + "licences/glibc.txt"} <= set(self.paths), f"{program}: licences of {part}")
        expected = ["etc/ssl/certs/ca-certificates.crt", *(f"usr/bin/{part}" for part in parts)]
        if program == FRONT:
            expected += ["bin/sh", "usr/bin/rtun", "usr/share/doc/busybox/copyright", "usr/share/doc/busybox/source"]
            # Byte 18 of an ELF file says for what machine it is.
            shell, of_program = ((self.root / name).read_bytes()[18] for name in ("bin/sh", "usr/bin/rtun-server"))
            check(shell == of_program, f"{program}: a shell for another machine")
        rest = [path for path in self.paths if not path.startswith(tuple(f"usr/share/doc/{part}/" for part in parts))]
        check(sorted(rest) == sorted(expected), f"{program}: has {' '.join(sorted(rest))}")

    def docker_config(self):
        """What the archive in Docker's format says, whose layers are the same."""
        with tarfile.open(HERE / "dist" / f"{self.name}.docker.tar.gz") as archive:
            (manifest,) = json.load(archive.extractfile("manifest.json"))
            config = json.load(archive.extractfile(manifest["Config"]))
        check(manifest["RepoTags"] == [f"localhost/{self.program}:latest"], f"{self.program}: Docker's name")
        check(config["rootfs"] == self.config["rootfs"], f"{self.program}: other layers in Docker's archive")
        return config["config"]

    def mount(self):
        """Adds what engines add, and makes the rest read-only."""
        for folder in ("proc", "dev", "sys"):
            (self.root / folder).mkdir(exist_ok=True)
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        (self.root / "etc/resolv.conf").write_text(f"nameserver {ADDRESS}\n")
        subprocess.run(["mount", "--bind", self.root, self.root], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro,nosuid,nodev", self.root], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", self.root / "proc"], check=True)

    def start(self, arguments, environment, entry=None):
        """Starts the image's program, or `entry` beside it, as a process of its own."""
        user, group = (int(part) for part in self.config["config"]["User"].split(":"))
        command = (entry or self.config["config"]["Entrypoint"]) + arguments
        libc = ctypes.CDLL(None, use_errno=True)

        def confine():
            os.chroot(self.root)
            os.chdir(self.config["config"].get("WorkingDir") or "/")
            os.setgroups([])
            # PR_CAPBSET_DROP, until there is no such capability, and PR_SET_NO_NEW_PRIVS
            capability = 0
            while libc.prctl(24, capability, 0, 0, 0) == 0:
                capability += 1
            os.setgid(group)
            os.setuid(user)
            libc.prctl(38, 1, 0, 0, 0)

        variables = dict(pair.split("=", 1) for pair in self.config["config"].get("Env", []))
        kind = "check" if entry else "log"
        log = open(FOLDER / f"{self.program}.{kind}", "w")
        return subprocess.Popen(
            command, env=variables | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
            preexec_fn=confine,
        )


def ready(process, program, image=None):
    """The value of the ready line's first field, which has to come within 20 s."""
    lines = []
    reader = threading.Thread(target=lambda: lines.append(process.stdout.readline()), daemon=True)
    reader.start()
    reader.join(20)
    if not lines or not lines[0].startswith(f"{program} ready "):
        fail(f"{program} is not ready: {(FOLDER / f'{image or program}.log').read_text()}")
    return lines[0].split()[2].split("=", 1)[1]


def compose():
    """The services of compose.yaml, with its variables filled in."""
    text = (HERE / "packaging/image/compose.yaml").read_text()
    uncommented = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    return yaml.safe_load(re.sub(r"\$\{RTUN_SECRET:\?[^}]*\}", SECRET, uncommented))["services"]


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def inside():
    version = subprocess.run([HERE / "scripts/version.sh"], check=True, capture_output=True, text=True).stdout.strip()
    images = {program: Image(program) for program in [*PROGRAMS, FRONT]}
    for image in images.values():
        image.inspect(version)
    if TARGET != HOST:
        print(f"try-image: the images for {TARGET} have what they should; nothing of them has been run")
        return
    services = compose()
    server, agent = services["server"], services["agent"]
    for name, service in services.items():
        check(service["image"] == f"localhost/rtun-{name}:latest", f"compose.yaml: {name} is {service['image']}")
        check(service["read_only"] and service["cap_drop"] == ["ALL"], f"compose.yaml: {name} may do too much")
    image_checks = {program: images[program].docker_config()["Healthcheck"] for program in PROGRAMS}
    for program, service in (("rtun-server", server), ("rtun-agent", agent)):
        its_check = service["healthcheck"]
        its_check = {
            "Test": its_check["test"], "Retries": its_check["retries"],
            **{key: seconds(its_check[name]) * 10**9
               for key, name in (("Interval", "interval"), ("Timeout", "timeout"), ("StartPeriod", "start_period"))},
        }
        check(image_checks[program] == its_check, f"compose.yaml checks {its_check}, the image {image_checks[program]}")
    for image in images.values():
        image.mount()

    for command in (
        "ip link set lo up", "ip link add one type veth peer name two", f"ip address add {ADDRESS}/24 dev one",
        "ip link set one up", "ip link set two up",
    ):
        subprocess.run(command.split(), check=True)
    web = FOLDER / "web"
    web.mkdir()
    content = os.urandom(20 << 20)
    (web / "file").write_bytes(content)
    website = subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", ADDRESS, "--directory", web, "8080"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    echo.bind((ADDRESS, 7777))

    def answer():
        while True:
            data, sender = echo.recvfrom(2048)
            echo.sendto(data.upper(), sender)

    threading.Thread(target=answer, daemon=True).start()

    def healthcheck(program, environment):
        words = image_checks[program]["Test"]
        check(words[0] == "CMD", "the health check needs a shell")
        process = images[program].start([], environment, entry=words[1:])
        return process.wait(image_checks[program]["Timeout"] / 10**9)

    started = {}
    started["rtun-server"] = images["rtun-server"].start(server.get("command", []), server["environment"])
    ready(started["rtun-server"], "rtun-server")
    status = healthcheck("rtun-server", server["environment"])
    check(status == 0, f"the health check of a server that runs: exit code {status}")
    started["rtun-agent"] = images["rtun-agent"].start(agent["command"], agent["environment"])
    ready(started["rtun-agent"], "rtun-agent")
    to_server = ["quic://127.0.0.1:8888", "--quic-insecure"]
    started["rtun-socks"] = images["rtun-socks"].start(["--listen", "127.0.0.1:0", *to_server], {"RTUN_SECRET": SECRET})
    proxy = ready(started["rtun-socks"], "rtun-socks")
    started["rtun-relay"] = images["rtun-relay"].start(
        ["-L", f"127.0.0.1:0?to={ADDRESS}:7777", *to_server], {"RTUN_SECRET": SECRET}
    )
    relay = ready(started["rtun-relay"], "rtun-relay").rsplit(":", 1)

    for program in ("rtun-agent", "rtun-socks", "rtun-relay"):
        status = healthcheck(program, {})
        check(status == 0, f"the health check of {program} that runs: exit code {status}")

    front = images[FRONT].start(["--version"], {})
    said, _ = front.communicate(timeout=10)
    check(
        front.returncode == 0 and said.splitlines()[0] == f"rtun {version}"
        and all(f"{program} {version} (/usr/bin/{program})" in said for program in PROGRAMS),
        f"{FRONT} --version: {said}",
    )
    # By another way to the same agent; it becomes the program, which signals go to.
    started[FRONT] = images[FRONT].start(["socks", "--listen", "127.0.0.1:0", *to_server], {"RTUN_SECRET": SECRET})
    ready(started[FRONT], "rtun-socks", FRONT)

    began = time.monotonic()
    subprocess.run(
        ["curl", "-sS", "--fail", "--retry", "3", "--retry-all-errors", "--max-time", "60", "--socks5-hostname", proxy,
         "-o", FOLDER / "received", f"http://{ADDRESS}:8080/file"],
        check=True,
    )
    took = time.monotonic() - began
    check(hashlib.sha256((FOLDER / "received").read_bytes()).digest() == hashlib.sha256(content).digest(), "another file")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        for _ in range(15):
            client.sendto(b"hello by relay", (relay[0], int(relay[1])))
            try:
                check(client.recv(2048) == b"HELLO BY RELAY", "another answer through the relay")
                break
            except TimeoutError:
                pass
        else:
            fail("no answer through the relay")

    for program in reversed(started):
        with open(f"/proc/{started[program].pid}/status") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        check(set(status["Uid"].split()) == {"65532"}, f"{program}: user {status['Uid']}")
        check(int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 0, f"{program}: has capabilities")
        started[program].send_signal(signal.SIGTERM)
        check(started[program].wait(10) == 0, f"{program}: exit code {started[program].returncode} when asked to stop")
    for program in PROGRAMS:
        status = healthcheck(program, {"RTUN_SECRET": SECRET})
        check(status == 69, f"the health check without {program}: exit code {status}")
    website.kill()
    sizes = ", ".join(f"{p} {(HERE / 'dist' / f'{p}-{TARGET}.oci.tar').stat().st_size / 1e6:.1f}" for p in images)
    print(f"try-image: {len(content) >> 20} MiB through server, agent and proxy in {took:.1f} s, a datagram through the relay,"
          f" health check; archives in MB: {sizes}")


def main():
    if len(sys.argv) > 1:
        return inside()
    check(os.geteuid() == 0, "needs root")
    for program in [*PROGRAMS, FRONT]:
        path = HERE / "dist" / f"{program}-{TARGET}.oci.tar"
        check(path.exists(), f"{path} is missing; make image makes it")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    # Mounts and processes end with the namespaces.
    outcome = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, __file__, "inside"]
    ).returncode
    if outcome == 0:
        shutil.rmtree(FOLDER)
    sys.exit(outcome)


main()
