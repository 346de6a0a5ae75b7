"""Runs a program on a terminal of its own and says what people would see there.

    terminal_session.py COLUMNS SCENARIO PROGRAM [ARGUMENT…]

SCENARIO is a list of steps, separated by |: `see:TEXT` waits until TEXT is in the last row, `log:TEXT` until it is in a row
above, `type:TEXT` writes to the terminal (`^Z` is a byte), `signal:NUMBER`, `stopped`, `ended`, `width:COLUMNS`, `wait:SECONDS`,
`blank` (the last row is empty), `noline` (no row was ever written over). Prints the screen, and on the last line `ok` or what
was missing.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
import unicodedata


class Screen:
    """A little of a terminal: text that wraps, line ends, backspaces, erasing to the end of a row, colours."""

    def __init__(self, columns):
        self.columns, self.rows, self.column = columns, [[]], 0
        self.colors = self.erasures = 0
        self.unknown, self.pending = [], ""

    def write(self, text):
        text, self.pending = self.pending + text, ""
        at = 0
        while at < len(text):
            character = text[at]
            if character == "\x1b":
                match = re.match(r"\x1b\[([0-9;?]*)([A-Za-z])", text[at:])
                if not match:
                    self.pending = text[at:]
                    return
                if match[2] == "m":
                    self.colors += 1
                elif match[2] == "K" and not match[1]:
                    self.erasures += 1
                    del self.rows[-1][self.column:]
                else:
                    self.unknown.append(match[0])
                at += len(match[0])
                continue
            at += 1
            if character == "\r":
                self.column = 0
            elif character == "\n":
                self.rows.append([])
            elif character >= " ":
                self.put(character)

    def put(self, character):
        cells = [character, ""] if unicodedata.east_asian_width(character) in "WF" else [character]
        if self.column + len(cells) > self.columns:
            self.rows.append([])
            self.column = 0
        row = self.rows[-1]
        row += [" "] * (self.column + len(cells) - len(row))
        row[self.column:self.column + len(cells)] = cells
        self.column += len(cells)

    def lines(self):
        return ["".join(row).rstrip() for row in self.rows]


class Session:
    def __init__(self, columns, command):
        self.screen = Screen(columns)
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.execvp(command[0], command)

    def read(self, seconds):
        """What comes within that time; False at the end."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.screen.write(data.decode("utf-8", "replace"))
        return bool(data)

    def until(self, condition, what, seconds=15):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"not seen: {what}")
            if not self.read(0.1):
                # The end of the output; that of the process may take a moment longer.
                time.sleep(0.05)

    def state(self):
        pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
        if not pid:
            return "running"
        return "stopped" if os.WIFSTOPPED(status) else "ended"

    def step(self, name, value):
        screen = self.screen
        if name == "see":
            self.until(lambda: value in screen.lines()[-1], value)
        elif name == "log":
            self.until(lambda: any(value in line for line in screen.lines()[:-1]), value)
        elif name == "type":
            os.write(self.master, value.replace("^Z", "\x1a").replace("^C", "\x03").encode())
        elif name == "signal":
            os.kill(self.pid, int(value))
        elif name in ("stopped", "ended"):
            self.until(lambda: self.state() == name, name)
        elif name == "width":
            screen.columns = int(value)
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(value), 0, 0))
        elif name == "wait":
            end = time.monotonic() + float(value)
            while time.monotonic() < end and self.read(0.05):
                pass
        elif name == "blank":
            self.until(lambda: screen.lines()[-1] == "" or screen.lines()[-1] == "^C", "an empty last row", 3)
        elif name == "noline":
            assert screen.erasures == 0, "a row was written over"
        elif name == "plain":
            assert screen.colors == 0, "there are colours"
        elif name == "colored":
            assert screen.colors > 0, "there are no colours"
        else:
            raise AssertionError(f"no such step: {name}")


def main():
    session = Session(int(sys.argv[1]), sys.argv[3:])
    outcome = "ok"
    try:
        for step in sys.argv[2].split("|"):
            session.step(*(step.split(":", 1) + [""])[:2])
        assert not session.screen.unknown, f"unknown sequences {session.screen.unknown}"
    except AssertionError as error:
        outcome = f"failed at {step}: {error}"
    finally:
        try:
            os.kill(session.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    print("\n".join(session.screen.lines()))
    print(outcome)


main()
