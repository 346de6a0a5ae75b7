"""Reads log lines from stdin and prints the addresses that packaging/fail2ban's filter finds in them, as fail2ban does.

    fail2ban_filter.py FILTER

The interpolation is that of fail2ban, which is Python's; what a date pattern matches is taken out of a line first.
"""
import configparser
import re
import sys

# Those of fail2ban 1.0, in short.
ADDRESS = r"\[?(?P<address>\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]+)\]?"
DATE = {"%Y": r"\d{4}", "%m": r"\d\d", "%d": r"\d\d", "%H": r"\d\d", "%M": r"\d\d", "%S": r"\d\d", "%f": r"\d+", "%z": r"(?:Z|[-+]\d\d:?\d\d)"}

parser = configparser.ConfigParser()
parser.read(sys.argv[1])
definition = parser["Definition"]
expressions = [re.compile(line.replace("<ADDR>", ADDRESS)) for line in definition["failregex"].strip().split("\n")]
# Of the many formats that {^LN-BEG} stands for, that of syslog and of the journal.
dates = [re.compile(r"^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d ")]
for pattern in definition["datepattern"].strip().split("\n"):
    if "{^LN-BEG}" not in pattern:
        for name, expression in DATE.items():
            pattern = pattern.replace(name, expression)
        dates.append(re.compile(pattern))

for line in sys.stdin.read().split("\n"):
    for date in dates:
        match = date.search(line)
        if match:
            line = line[: match.start()] + line[match.end():]
            break
    for expression in expressions:
        match = expression.search(line)
        if match:
            print(match["address"])
            break
