"""A network to measure in: namespaces, links between them, and processes whose cost is known.

Everything has a name of this process's own, nothing leaves the machine, and all of it is gone when the lab is closed.
"""
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)


class Failure(Exception):
    """Something could not be started or measured; the words say what and why."""


def tools():
    """The folder with rtun-link and rtun-load: RTUN_BENCH_BIN, or where `make bench` builds them."""
    folder = os.environ.get("RTUN_BENCH_BIN") or os.path.join(ROOT, ".build-benchmarks", "release")
    if not os.path.exists(os.path.join(folder, "rtun-load")):
        sys.exit(
            "rtun-load is not built: swift build --package-path Benchmarks -c release --scratch-path .build-benchmarks"
        )
    return folder


def children_of(pids):
    """These processes and all that descend from them."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    parents.setdefault(int(file.read().rsplit(")", 1)[1].split()[1]), []).append(int(entry))
            except (OSError, ProcessLookupError):
                continue
    found, waiting = [], list(pids)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += parents.get(pid, [])
    return found


class Process:
    """A running program. Its id is the program's own: `ip netns exec` gives its place to it."""

    TICKS = os.sysconf("SC_CLK_TCK")

    def __init__(self, popen, name, log):
        self.popen, self.name, self.log = popen, name, log

    @property
    def pid(self):
        return self.popen.pid

    def cpu(self):
        """CPU seconds so far, with all that it has started."""
        total = 0
        for pid in children_of([self.pid]):
            try:
                with open(f"/proc/{pid}/stat") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
            except (OSError, ProcessLookupError):
                continue
            # utime and stime, and those of children that have ended (proc(5)).
            total += sum(int(fields[i]) for i in (11, 12, 13, 14))
        return total / self.TICKS

    def peak_memory(self):
        """Largest resident set in bytes, those of its children added up."""
        total = 0
        for pid in children_of([self.pid]):
            try:
                with open(f"/proc/{pid}/status") as file:
                    total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
            except (OSError, ProcessLookupError):
                continue
        return total

    def tail(self, lines=8):
        with open(self.log, errors="replace") as file:
            return "".join(file.readlines()[-lines:]).strip()

    def stop(self):
        """Ends it and its children; returns the rest of its standard output."""
        family = children_of([self.pid]) if self.popen.poll() is None else []
        for pid in family:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        try:
            output, _ = self.popen.communicate(timeout=7)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            output, _ = self.popen.communicate()
        for pid in family[1:]:
            try:
                with open(f"/proc/{pid}/stat") as file:
                    still = int(file.read().rsplit(")", 1)[1].split()[1]) == self.pid
                if still:
                    os.kill(pid, signal.SIGKILL)
            except (OSError, ProcessLookupError):
                pass
        return output or ""


class Lab:
    """Namespaces and processes; use it in a `with` statement."""

    def __init__(self, congestion="cubic"):
        # What TCP uses where a program does not choose; cubic is Linux's own default.
        self.congestion = congestion
        self.prefix = f"rtb{os.getpid()}{secrets.token_hex(2)}"
        self.folder = tempfile.mkdtemp(prefix="rtun-bench-")
        self.namespaces, self.processes = [], []
        self.count = 0

    def __enter__(self):
        if os.geteuid() != 0:
            sys.exit("network namespaces need root")
        # Ending it in any way goes through `close`.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stop_all()
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
        self.namespaces = []
        shutil.rmtree(self.folder, ignore_errors=True)

    # Networks

    def ip(self, *words):
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"ip {' '.join(words)}: {done.stderr.strip()}")

    def namespace(self, name, *sysctls):
        """Makes one and returns its full name. TCP gets windows that fill all the links here, and ports for some ten
        thousand short connections a second."""
        full = f"{self.prefix}-{name}"
        self.ip("netns", "add", full)
        self.namespaces.append(full)
        self.ip("-n", full, "link", "set", "lo", "up")
        self.sysctl(
            full, "net.ipv4.tcp_rmem=4096 131072 33554432", "net.ipv4.tcp_wmem=4096 16384 33554432",
            "net.ipv4.tcp_tw_reuse=1", "net.ipv4.ip_local_port_range=9000 65535",
            "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0", *sysctls,
        )
        self.choose_congestion(full)
        return full

    ALLOWED = "/proc/sys/net/ipv4/tcp_allowed_congestion_control"

    def choose_congestion(self, namespace):
        """A new namespace has the machine's algorithm, and may choose only those that the machine allows everybody."""
        try:
            self.sysctl(namespace, f"net.ipv4.tcp_congestion_control={self.congestion}")
        except Failure:
            with open(self.ALLOWED) as file:
                allowed = file.read().strip()
            self.allow(f"{allowed} {self.congestion}")
            try:
                self.sysctl(namespace, f"net.ipv4.tcp_congestion_control={self.congestion}")
            finally:
                self.allow(allowed)

    def allow(self, algorithms):
        try:
            with open(self.ALLOWED, "w") as file:
                file.write(algorithms)
        except OSError as error:
            raise Failure(f"this kernel cannot use {self.congestion}: {error.strerror}")

    def sysctl(self, namespace, *settings):
        done = subprocess.run(
            ["ip", "netns", "exec", namespace, "sysctl", "-qw", *settings], capture_output=True, text=True
        )
        if done.returncode != 0:
            raise Failure(f"sysctl: {done.stderr.strip()}")

    def join(self, a, a_device, a_prefix, b, b_device, b_prefix):
        """Joins two namespaces by a pair of virtual Ethernet devices."""
        self.ip("-n", a, "link", "add", a_device, "type", "veth", "peer", "name", b_device, "netns", b)
        for namespace, device, prefix in ((a, a_device, a_prefix), (b, b_device, b_prefix)):
            self.ip("-n", namespace, "addr", "add", prefix, "dev", device)
            self.ip("-n", namespace, "link", "set", device, "up")

    def route(self, namespace, gateway, prefix="default"):
        self.ip("-n", namespace, "route", "add", prefix, "via", gateway)

    # Processes

    def start(self, namespace, *command, ready=None, tcp=None, udp=None, timeout=15, env=None):
        """Starts a program and waits until its standard output begins with `ready`, or until it listens on a port;
        returns the process and that line. Without any of them it does not wait."""
        self.count += 1
        name = os.path.basename(command[0])
        log = os.path.join(self.folder, f"{self.count}-{name}.log")
        with open(log, "w") as file:
            prefix = ["ip", "netns", "exec", namespace] if namespace else []
            popen = subprocess.Popen(
                [*prefix, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if ready else file, stderr=file,
                text=True, env={**os.environ, **(env or {})}, start_new_session=True,
            )
        process = Process(popen, name, log)
        self.processes.append(process)
        deadline = time.monotonic() + timeout
        line = None
        while ready or tcp or udp:
            if ready and select.select([popen.stdout], [], [], 0.05)[0]:
                line = popen.stdout.readline().strip()
                if line.startswith(ready):
                    break
            if (tcp and listens(process.pid, "tcp", tcp)) or (udp and listens(process.pid, "udp", udp)):
                break
            if popen.poll() is not None:
                raise Failure(f"{name} has ended with {popen.returncode}: {process.tail()}")
            if time.monotonic() > deadline:
                raise Failure(f"{name} is not ready after {timeout} s: {process.tail()}")
            if not ready:
                time.sleep(0.02)
        return process, line

    def wait_for_log(self, process, *texts, timeout=20):
        """Waits until one of the texts is in the log of a process."""
        deadline = time.monotonic() + timeout
        while True:
            with open(process.log, errors="replace") as file:
                content = file.read()
            if any(text in content for text in texts):
                return
            if process.popen.poll() is not None:
                raise Failure(f"{process.name} has ended with {process.popen.returncode}: {process.tail()}")
            if time.monotonic() > deadline:
                raise Failure(f"{process.name} did not say \"{texts[0]}\" within {timeout} s: {process.tail()}")
            time.sleep(0.02)

    def stop(self, *processes):
        for process in reversed(processes):
            if process in self.processes:
                process.stop()
                self.processes.remove(process)

    def stop_all(self):
        self.stop(*list(self.processes))

    def run(self, namespace, *command, env=None):
        """Runs a short command; returns its output."""
        done = subprocess.run(
            ["ip", "netns", "exec", namespace, *command], capture_output=True, text=True,
            env={**os.environ, **(env or {})},
        )
        if done.returncode != 0:
            raise Failure(f"{command[0]}: {done.stderr.strip()}")
        return done.stdout

    def load(self, namespace, *words, timeout=90):
        """Runs rtun-load and returns what it reports."""
        command = ["ip", "netns", "exec", namespace, os.path.join(tools(), "rtun-load"), *map(str, words)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"rtun-load {words[0]} has not ended after {timeout} s")
        if done.returncode != 0:
            raise Failure(done.stderr.strip() or f"rtun-load {words[0]} ended with {done.returncode}")
        return json.loads(done.stdout)


def listens(pid, protocol, port):
    """Whether somebody in the network namespace of that process listens on the port."""
    wanted = f":{port:04X}"
    for table in (protocol, protocol + "6"):
        try:
            with open(f"/proc/{pid}/net/{table}") as file:
                for line in list(file)[1:]:
                    fields = line.split()
                    # State 0A is LISTEN; an unconnected UDP socket has 07.
                    if fields[1].endswith(wanted) and fields[3] in ("0A", "07"):
                        return True
        except OSError:
            continue
    return False


class Site:
    """Where a peer is measured: the client's side, the broker's, and the agent's, where the target is, too."""

    def __init__(self, lab, client, server, agent, server_for_client, server_for_agent, agent_address):
        self.lab = lab
        self.client, self.server, self.agent = client, server, agent
        # The broker's address as the client and as the agent reach it.
        self.server_for_client, self.server_for_agent = server_for_client, server_for_agent
        self.agent_address = agent_address

    @classmethod
    def lan(cls, lab):
        """Three hosts, each joined to each, with nothing between that costs time."""
        client, server, agent = (lab.namespace(name) for name in ("client", "server", "agent"))
        lab.join(client, "eth0", "192.0.2.1/30", agent, "eth0", "192.0.2.2/30")
        lab.join(client, "eth1", "198.51.100.1/30", server, "eth0", "198.51.100.2/30")
        lab.join(agent, "eth1", "203.0.113.1/30", server, "eth1", "203.0.113.2/30")
        return cls(lab, client, server, agent, "198.51.100.2", "203.0.113.2", "192.0.2.2")

    @classmethod
    def wan(cls, lab, profile):
        """The client behind an emulated link, the others near each other behind its far end."""
        client, server, agent = (lab.namespace(name) for name in ("client", "server", "agent"))
        router = lab.namespace("router", "net.ipv4.ip_forward=1")
        lab.join(router, "server0", "203.0.113.1/30", server, "eth0", "203.0.113.2/30")
        lab.join(router, "agent0", "192.0.2.1/30", agent, "eth0", "192.0.2.2/30")
        lab.route(server, "203.0.113.1")
        lab.route(agent, "192.0.2.1")
        site = cls(lab, client, server, agent, "203.0.113.2", "203.0.113.2", "192.0.2.2")
        site.link, _ = lab.start(
            None, os.path.join(tools(), "rtun-link"), "--a", client, "--b", router,
            "--a-address", "198.51.100.1/30", "--b-address", "198.51.100.2/30", *profile.link_options(),
            ready="rtun-link ready",
        )
        lab.route(client, "198.51.100.2")
        return site
