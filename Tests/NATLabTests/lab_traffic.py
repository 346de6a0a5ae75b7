#!/usr/bin/env python3
"""Traffic for the NAT lab.

serve PORT:              echoes TCP and UDP on 127.0.0.1
socks PROXY PORT:        connects through a SOCKS 5 proxy to 127.0.0.1:PORT, sends a line, prints how many ms the echo took
udp PORT:                sends datagrams to 127.0.0.1:PORT until one comes back, prints how many ms that took
"""
import socket
import sys
import threading
import time


def serve(port):
    def tcp():
        listener = socket.create_server(("127.0.0.1", port))
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    def echo(connection):
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    threading.Thread(target=tcp, daemon=True).start()
    service = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    service.bind(("127.0.0.1", port))
    print("serving", flush=True)
    while True:
        data, sender = service.recvfrom(2048)
        service.sendto(data, sender)


def exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            sys.exit("the proxy closed the connection")
        data += more
    return data


def socks(proxy, port):
    begin = time.monotonic()
    connection = socket.create_connection(("127.0.0.1", proxy), timeout=30)
    connection.sendall(b"\x05\x01\x00" + b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
    reply = exactly(connection, 12)
    if reply[3] != 0:
        sys.exit(f"the proxy answers {reply[3]}")
    connection.sendall(b"hello\n")
    if exactly(connection, 6) != b"hello\n":
        sys.exit("the echo is another one")
    print(round((time.monotonic() - begin) * 1000))


def udp(port):
    begin = time.monotonic()
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("127.0.0.1", port))
    s.settimeout(0.5)
    while time.monotonic() - begin < 30:
        s.send(b"hello")
        try:
            if s.recv(100) == b"hello":
                print(round((time.monotonic() - begin) * 1000))
                return
        except TimeoutError:
            pass
    sys.exit("no answer")


{"serve": serve, "socks": socks, "udp": udp}[sys.argv[1]](*map(int, sys.argv[2:]))
