"""Passes Ethernet frames between two interfaces, each some milliseconds after it came: a slow network in between.
Prints a line when it is ready.

usage: nat_lab_delay.py INTERFACE OTHER MILLISECONDS
"""
import os
import select
import socket
import sys
import time
from collections import deque

SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
ETH_P_ALL, SO_RCVBUFFORCE, SO_SNDBUFFORCE = 3, 33, 32


def open_interface(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    # What goes out on the interface is not what has come in.
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    # Frames come with a header that says which checksums and segments the kernel still has to make, and go on with it.
    s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    s.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 64 << 20)
    s.bind((name, 0))
    s.setblocking(False)
    return s


# Whoever started it and waits for the end of a pipe must not wait for this.
os.closerange(3, 1024)
here, there = (open_interface(name) for name in sys.argv[1:3])
print("ready", flush=True)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
delay = float(sys.argv[3]) / 1000
others = {here: there, there: here}
under_way = deque()
while True:
    wait = max(0, under_way[0][0] - time.monotonic()) if under_way else None
    for s in select.select([here, there], [], [], wait)[0]:
        try:
            while True:
                under_way.append((time.monotonic() + delay, others[s], s.recv(70000)))
        except BlockingIOError:
            pass
    while under_way and under_way[0][0] <= time.monotonic():
        _, s, frame = under_way.popleft()
        try:
            s.send(frame)
        except OSError:
            pass  # an interface that is down, or a full queue: the frame is lost, as frames are
