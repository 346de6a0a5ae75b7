#!/usr/bin/env python3
"""Traffic for the NAT lab. Everything is on 127.0.0.1 of the host that it runs on, unless the first argument is
at=ADDRESS: then the services are there, and connections through a proxy lead there. After near=ADDRESS it is the
proxy or relay that is there.

serve PORT:              at PORT an echo over TCP and UDP; at PORT + 1 over TCP downloads and counts, see below; at
                         PORT + 2 over UDP a sink that counts datagrams by their first two bytes
names PORT:              a name server, silent about all names but echo.test, which has the address of the services; for
                         each line on standard input prints the questions so far about names that it is silent about
socks PROXY PORT:        waits for the SOCKS 5 proxy to listen, connects through it to PORT, sends a line, and prints
                         how many ms the echo took
udp PORT:                waits for somebody to listen, sends datagrams until one comes back, prints how many ms that
                         took
download PROXY PORT BYTES RATE:
                         downloads so much through the proxy from PORT (RATE bytes a second, 0: as fast as it goes),
                         prints each tenth that it has got, and in the end, if what came is what was sent: done
                         seconds=S mbits=M longest_pause_ms=P
flood PORT SECONDS SIZE: keeps datagrams of SIZE bytes under way to an echo; prints mbits=M (one way) lost_percent=P,
                         if what comes is what was sent
steady PORT MS SIZE:     sends a datagram every MS milliseconds; for each line on standard input (and at its end for the
                         last time) prints sent=N answered=N lost=N longest_gap_ms=G own_stall_ms=O worst_ms=W since
                         the start, or since the last line "restart"; O is by how much it was late itself
name-socks PROXY PORT COUNT:
                         connects through the proxy to so many names that are not answered for; prints how many ms
                         an echo took of echo.test beside them, hangs up on them, and prints it once more
idle-socks PROXY PORT:   connects through the proxy, prints "connected", and when that ends "closed" and why
steady-socks PROXY PORT MS:
                         the same over one connection through the proxy; what is late is not lost there
spray PORT CHANNELS SECONDS SIZE RATE:
                         sends RATE datagrams a second to PORT, PORT + 1, …, with the channel's number in front; every
                         second one gets three times as many as the others
counts PORT:             prints the counts of the sink, and the time in seconds, as a JSON object
"""
import collections
import hashlib
import json
import os
import random
import select
import socket
import sys
import threading
import time

HOST = "127.0.0.1"
TARGET = HOST
# In all that is sent: whoever reads along must not find it.
MARKER = b"for the eyes of client and target only "
PATIENCE = 3  # seconds after which a datagram counts as lost


def payload(head, size):
    """A datagram of that size with the marker in it."""
    return (head + MARKER * (size // len(MARKER) + 1))[:size]


def thread(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()


def exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            sys.exit("the connection was closed")
        data += more
    return data


# The far end.


def listen(listener, handle):
    def guarded(connection):
        with connection:
            try:
                handle(connection)
            except OSError:
                pass  # seen at the other end

    while True:
        connection, _ = listener.accept()
        thread(guarded, connection)


def echo_stream(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := connection.recv(65536):
        connection.sendall(data)


def echo_datagrams(service):
    while True:
        data, sender = service.recvfrom(2048)
        service.sendto(data, sender)


def bound_udp(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    s.bind((TARGET, port))
    return s


counted = collections.Counter()


def count(sink):
    while True:
        counted[int.from_bytes(sink.recv(2048)[:2], "big")] += 1


def serve_files(connection):
    question = connection.makefile().readline().split()
    if question == ["counts"]:
        connection.sendall(json.dumps({"time": time.monotonic(), "counts": counted}).encode())
        return
    size, rate = map(int, question)
    generator, digest = random.Random(size), hashlib.sha256()
    begin, sent = time.monotonic(), 0
    while sent < size:
        piece = (MARKER + generator.randbytes(65536))[: min(65536, size - sent)]
        digest.update(piece)
        connection.sendall(piece)
        sent += len(piece)
        if rate:
            time.sleep(max(0, begin + sent / rate - time.monotonic()))
    connection.sendall(digest.digest())
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)


def serve(port):
    thread(listen, socket.create_server((TARGET, port), backlog=128), echo_stream)
    thread(listen, socket.create_server((TARGET, port + 1), backlog=128), serve_files)
    thread(echo_datagrams, bound_udp(port))
    thread(count, bound_udp(port + 2))
    print("serving", flush=True)
    threading.Event().wait()


def names(port):
    service = bound_udp(port)
    silent = 0

    def answer():
        nonlocal silent
        while True:
            question, sender = service.recvfrom(512)
            if not question[12:].startswith(b"\x04echo\x04test\0"):
                silent += 1
                continue
            # A reply with the question, and for type A a record (RFC 1035 §4.1).
            is_a = question[23:25] == b"\0\1"
            record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(TARGET) if is_a else b""
            head = question[:2] + b"\x85\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + bytes(4)
            service.sendto(head + question[12:27] + record, sender)

    thread(answer)
    print("serving", flush=True)
    for _ in sys.stdin:
        print(f"silent={silent}", flush=True)


def counts(port):
    with socket.create_connection((HOST, port + 1)) as connection:
        connection.sendall(b"counts\n")
        print(connection.makefile().read())


# The near end.


def asked(proxy, port, name=None):
    """When the connection to the proxy stood, and it, with a request sent."""
    while True:
        begin = time.monotonic()
        try:
            connection = socket.create_connection((HOST, proxy), timeout=40)
            break
        except ConnectionRefusedError:
            time.sleep(0.002)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    address = b"\x03" + bytes([len(name)]) + name.encode() if name else b"\x01" + socket.inet_aton(TARGET)
    connection.sendall(b"\x05\x01\x00" + b"\x05\x01\x00" + address + port.to_bytes(2, "big"))
    return begin, connection


def through(proxy, port, name=None):
    """When the connection to the proxy stood, and a connection through it."""
    begin, connection = asked(proxy, port, name)
    reply = exactly(connection, 12)
    if reply[3] != 0:
        sys.exit(f"the proxy answers {reply[3]}")
    return begin, connection


def socks(proxy, port, name=None):
    begin, connection = through(proxy, port, name)
    connection.sendall(MARKER)
    if exactly(connection, len(MARKER)) != MARKER:
        sys.exit("the echo is another one")
    print(round((time.monotonic() - begin) * 1000), flush=True)


def name_socks(proxy, port, count):
    socks(proxy, port)
    silent = [asked(proxy, port, f"silent-{number}.test")[1] for number in range(count)]
    time.sleep(0.5)
    socks(proxy, port, "echo.test")
    for connection in silent:
        connection.close()
    socks(proxy, port, "echo.test")


def udp(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((HOST, port))
    s.settimeout(0.5)
    begin, end = None, time.monotonic() + 40
    while time.monotonic() < end:
        now = time.monotonic()
        try:
            s.send(MARKER)
            begin = begin or now
            if s.recv(100) == MARKER:
                print(round((time.monotonic() - begin) * 1000))
                return
        except ConnectionRefusedError:
            begin = None  # nobody listens yet
            time.sleep(0.002)
        except TimeoutError:
            pass
    sys.exit("no answer")


def download(proxy, port, size, rate):
    _, connection = through(proxy, port)
    connection.settimeout(100)
    connection.sendall(f"{size} {rate}\n".encode())
    digest, received, longest, tenths = hashlib.sha256(), 0, 0, 0
    begin = last = time.monotonic()
    while received < size:
        piece = connection.recv(min(262144, size - received))
        if not piece:
            sys.exit(f"the connection was closed after {received} bytes")
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        digest.update(piece)
        received += len(piece)
        while tenths < 10 * received // size:
            tenths += 1
            print(f"{10 * tenths} %", flush=True)
    if exactly(connection, 32) != digest.digest():
        sys.exit("what came is not what was sent")
    seconds = time.monotonic() - begin
    print(f"done seconds={seconds:.1f} mbits={size * 8 / seconds / 1e6:.1f} longest_pause_ms={longest * 1000:.0f}")


def flood(port, seconds, size):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((HOST, port))
    s.setblocking(False)
    under_way, sent, answered = {}, 0, 0
    begin = time.monotonic()
    end = begin + seconds
    while (now := time.monotonic()) < end or under_way:
        while now < end and len(under_way) < 32:
            under_way[sent] = now
            try:
                s.send(payload(sent.to_bytes(4, "big"), size))
            except OSError:
                pass
            sent += 1
        select.select([s], [], [], 0.05)
        try:
            while True:
                answer = s.recv(2048)
                if answer != payload(answer[:4], size):
                    sys.exit("a datagram was altered")
                answered += under_way.pop(int.from_bytes(answer[:4], "big"), None) is not None
        except OSError:
            pass
        # Datagrams are numbered in the order of their times.
        while under_way and now - under_way[next(iter(under_way))] > PATIENCE:
            under_way.pop(next(iter(under_way)))
    print(f"mbits={answered * size * 8 / seconds / 1e6:.1f} lost_percent={100 * (sent - answered) / sent:.1f}")


class Steady:
    """Numbers that go out at a steady pace, and what comes back."""

    def __init__(self, interval, send):
        self.interval, self.send = interval, send
        self.times, self.sent, self.is_over = {}, 0, False
        self.lock = threading.Lock()
        self.reset(time.monotonic())

    def reset(self, now):
        self.first, self.answered, self.longest, self.worst, self.last = self.sent, 0, 0, 0, now
        self.stall = 0

    def run(self):
        thread(self.send_all)
        for line in sys.stdin:
            self.report()
            if line == "restart\n":
                with self.lock:
                    self.reset(time.monotonic())
        self.is_over = True
        time.sleep(PATIENCE)
        self.report()

    def send_all(self):
        due = time.monotonic()
        while not self.is_over:
            with self.lock:
                now = self.times[self.sent] = time.monotonic()
                self.stall = max(self.stall, now - due)
                number = self.sent
                self.sent += 1
            try:
                self.send(number.to_bytes(4, "big"))
            except OSError:
                pass  # refused; or closed, which the receiver tells
            due += self.interval
            time.sleep(max(0, due - time.monotonic()))

    def came(self, number):
        now = time.monotonic()
        with self.lock:
            begin = self.times.pop(number, None)
            if begin is None:
                return
            self.answered += number >= self.first
            self.longest, self.worst, self.last = max(self.longest, now - self.last), max(self.worst, now - begin), now

    def report(self):
        now = time.monotonic()
        with self.lock:
            gap = max(self.longest, now - self.last) if not self.is_over else self.longest
            lost = [n for n, begin in self.times.items() if now - begin > PATIENCE and n >= self.first]
            print(
                f"sent={self.sent - self.first} answered={self.answered} lost={len(lost)} "
                f"longest_gap_ms={gap * 1000:.0f} own_stall_ms={self.stall * 1000:.0f} "
                f"worst_ms={self.worst * 1000:.0f}",
                flush=True,
            )


def steady(port, interval, size):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((HOST, port))
    traffic = Steady(interval / 1000, lambda number: s.send(payload(number, size)))

    def receive():
        while True:
            try:
                traffic.came(int.from_bytes(s.recv(2048)[:4], "big"))
            except ConnectionRefusedError:
                pass

    thread(receive)
    traffic.run()


def steady_socks(proxy, port, interval):
    _, connection = through(proxy, port)
    connection.settimeout(None)
    traffic = Steady(interval / 1000, connection.sendall)

    def receive():
        try:
            while True:
                traffic.came(int.from_bytes(exactly(connection, 4), "big"))
        except (OSError, SystemExit) as error:
            print("closed", error, flush=True)
            os._exit(1)

    thread(receive)
    traffic.run()


def idle_socks(proxy, port):
    _, connection = through(proxy, port)
    connection.settimeout(None)
    print("connected", flush=True)
    try:
        connection.recv(1)
        print("closed at the end")
    except OSError as error:
        print("closed", error)


def spray(port, channels, seconds, size, rate):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    begin, sent = time.monotonic(), 0
    while (now := time.monotonic()) < begin + seconds:
        while sent < (now - begin) * rate:
            # Of each pair of channels the second gets three times as much.
            pair, turn = divmod(sent, 4)
            channel = (2 * pair + (turn > 0)) % channels
            s.sendto(payload(channel.to_bytes(2, "big"), size), (HOST, port + channel))
            sent += 1
        time.sleep(0.001)
    print(sent)


if __name__ == "__main__":
    commands = {
        f.__name__.replace("_", "-"): f
        for f in (serve, names, counts, socks, name_socks, udp, download, flood, steady, steady_socks, idle_socks, spray)
    }
    if sys.argv[1].startswith("near="):
        HOST = sys.argv.pop(1)[5:]
    if sys.argv[1].startswith("at="):
        TARGET = sys.argv.pop(1)[3:]
    commands[sys.argv[1]](*(float(a) if "." in a else int(a) for a in sys.argv[2:]))
