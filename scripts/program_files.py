#!/usr/bin/env python3
"""Makes what comes with a program, from its own help: scripts/program_files.py PROGRAM-FILE FOLDER

    rtun-NAME.1            manual page: the help, and events and exit codes from docs/operations.md
    rtun-NAME.toml         example configuration, each option explained and commented out
    rtun-NAME.service      systemd unit (packaging/systemd)
    completions/           for bash, zsh and fish

Nothing of it is kept in the source tree, so that it cannot be out of date; what it needs and does not find is an error.
EMULATOR is what runs the program, if it is for another machine (scripts/emulator.sh).
"""

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
EMULATOR = os.environ.get("EMULATOR", "").split()

# What a value of this name is completed with, besides choices, which the program itself tells.
FILES = {"file"}
CHOICES = {"choice", "level", "format"}
INTERFACES = {"p2p-interface"}
# Options that answer something and exit: not for a service.
ONCE = {"check", "list-agents", "print-sessions-token", "print-links", "print-identity", "config", "version", "V", "help", "h", "print-config", "check-config", "healthcheck", "status", "json"}
# What an option without a default looks like in the example.
EXAMPLES = {
    "url": "https://rtun.example.com:8888",
    "addr": "0.0.0.0:8888",
    "https-cert": "/run/credentials/rtun-server.service/tls_cert.pem",
    "https-key": "/run/credentials/rtun-server.service/tls_key.pem",
    "trusted-proxy": "127.0.0.1",
    "authorized-keys": "/etc/rtun/authorized-keys",
    "authorized-clients": "/etc/rtun/authorized-clients",
    "identity": "/var/lib/rtun/{name}/identity.pem",
    "known-agents": "/var/lib/rtun/{name}/known-agents",
    "bridge-rate": "10M",
    "bridge-total-rate": "100M",
    "stats-interval": "10m",
    "admin": "127.0.0.1:9101",
    "admin-token-file": "/etc/rtun/admin-token",
    "stun-port": 3478,
    "stun-addr": "203.0.113.11",
    "ca-cert": "/etc/rtun/ca.pem",
    "secret": "…",
    "secret-file": "/etc/rtun/secret",
    "link": "rtun://rtun.example.com:8888/?…#…",
    "link-file": "/etc/rtun/link",
    "state-dir": "/var/lib/rtun/server",
    "public-name": "rtun.example.com",
    "e2e-secret": "…",
    "e2e-secret-file": "/run/credentials/rtun-{name}.service/e2e-secret",
    "expire_in": "7d",
    "label": "place=berlin",
    "allow": "10.1.0.0/16:80,443",
    "deny": "*",
    "nat64-prefix": "2001:db8:64::/96",
    "p2p-allow": "10.0.0.0/8",
    "p2p": "auto",
    "p2p-spread": 256,
    "p2p-interface": "eth0",
    "stun": "stun.example.org",
    "listen": "127.0.0.1:2080",
    "auth": "me:password",
    "L": "127.0.0.1:15353?to=192.0.2.53:53",
    "udp-idle-timeout": "120s",
    "udp-max-payload": 1200,
    "log-level": "info",
    "log-format": "text",
    "log-file": "/var/lib/rtun/{name}/log",
    "access-log": "/var/lib/rtun/{name}/access.log",
}
# An agent is called, clients choose.
EXAMPLE_AGENT = {"agent": "office", "socks": "office|home", "relay": "office|home"}

# What has to be done after the installation; also in the packages' scripts (scripts/packages.py).
TODO = {
    "server": """\
  1. "public-name" in /etc/rtun/rtun-server.toml: what other machines reach this one by
  2. systemctl enable --now rtun-server
  3. on the other machines what this prints:
       rtun-server --config /etc/rtun/rtun-server.toml --state-dir /var/lib/rtun/server --print-links
Or with a secret and a certificate of your own: /etc/rtun/secret, /etc/rtun/tls/cert.pem and /etc/rtun/tls/key.pem, and
the two lines https-cert and https-key in /etc/rtun/rtun-server.toml.""",
    "agent": """\
  1. the server: "link" in /etc/rtun/rtun-agent.toml, which rtun-server --print-links prints; or "url", and its secret in
     /etc/rtun/secret (only root needs to be able to read it)
  2. systemctl enable --now rtun-agent""",
    "socks": """\
  1. the server: "link" in /etc/rtun/rtun-socks.toml, which rtun-server --print-links prints; or "url", and its secret in
     /etc/rtun/secret (only root needs to be able to read it)
  2. systemctl enable --now rtun-socks""",
    "relay": """\
  1. the rules: "L" in /etc/rtun/rtun-relay.toml
  2. the server: "link" there, which rtun-server --print-links prints; or "url", and its secret in /etc/rtun/secret (only
     root needs to be able to read it)
  3. systemctl enable --now rtun-relay""",
}


class Option:
    def __init__(self, description):
        names = [entry["name"] for entry in description.get("names", [])]
        self.names = names
        self.kind = description["kind"]
        self.value = description["valueName"]
        self.section = description.get("sectionTitle") or "Options"
        self.abstract = description.get("abstract", "")
        self.default = description.get("defaultValue")
        self.repeats = description["isRepeating"]
        self.required = not description["isOptional"]
        self.choices = description.get("allValues", [])
        preferred = description.get("preferredName", {}).get("name")
        # The key in a configuration file.
        self.key = self.value if self.kind == "positional" else preferred

    @property
    def spelled(self):
        return [("-" if len(name) == 1 else "--") + name for name in self.names]

    @property
    def short(self):
        """The first thing that the help says."""
        return re.split(r"(?:[.;:] | \()", self.abstract + " ", maxsplit=1)[0].rstrip(". ")


class Program:
    def __init__(self, path):
        self.path = Path(path).resolve()
        self.command = json.loads(self.run("--experimental-dump-help").stdout)["command"]
        self.name = self.command["commandName"]
        self.short = self.name.removeprefix("rtun-")
        self.abstract = self.command["abstract"].rstrip(".")
        self.version = self.run("--version").stdout.split("\n")[0]
        self.arguments = [Option(entry) for entry in self.command["arguments"] if entry.get("shouldDisplay", True)]
        self.options = [argument for argument in self.arguments if argument.kind != "positional"]
        self.positional = [argument for argument in self.arguments if argument.kind == "positional"]
        for option in self.options:
            if option.kind == "option" and not option.choices and option.value in CHOICES:
                option.choices = self.choices(option)
        self.read_discussion(self.command["discussion"])

    def run(self, *words):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RTUN_")}
        return subprocess.run([*EMULATOR, self.path, *words], capture_output=True, text=True, timeout=20, env=environment)

    def choices(self, option):
        """What a wrong value is answered with: "expected text or json". Without a secret no program starts in any case."""
        words = [f"{option.spelled[0]}=?", *("https://rtun.invalid" for _ in self.positional)]
        answer = re.search(r"expected ((?:[a-z0-9]+, )*[a-z0-9]+ or [a-z0-9]+)$", self.run(*words).stderr, re.MULTILINE)
        if not answer:
            sys.exit(f"program_files: {self.name} does not say what {option.spelled[0]} may be")
        return re.split(r", | or ", answer[1])

    def read_discussion(self, text):
        description, _, rest = re.split(r"\n\n(Examples:|EXAMPLES)\n+", text, maxsplit=1)
        examples, _, codes = rest.partition("\n\nExit codes: ")
        self.description = description
        self.examples = textwrap.dedent("\n".join(line.rstrip() for line in examples.split("\n"))).strip("\n")
        if not codes:
            sys.exit(f"program_files: the help of {self.name} tells no exit codes")
        self.codes = codes

    # The names of groups in the tables of docs/operations.md.
    @property
    def roles(self):
        return {self.short, "all"} | ({"clients"} if self.short in ("socks", "relay") else set())


# MARK: docs/operations.md


def table(heading, text):
    """The rows of the first table under a heading."""
    match = re.search(rf"^##+ {re.escape(heading)}$(.*?)^(\|.*?)\n(?!\|)", text, re.MULTILINE | re.DOTALL)
    if not match:
        sys.exit(f'program_files: docs/operations.md has no table under "{heading}"')
    rows = match[2].strip().split("\n")[2:]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


# MARK: manual page


def roff(text):
    """Plain text for troff."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha")
    text = text.replace("~", "\\(ti")
    text = "".join(character if ord(character) < 128 else f"\\[u{ord(character):04X}]" for character in text)
    return "\n".join("\\&" + line if line.startswith(".") else line for line in text.split("\n"))


def roff_markdown(text):
    """A table's cell: code in bold, links without their targets."""
    text = re.sub(r"\[see below\]\([^)]*\)|see \[below\]\([^)]*\)", "see operations.md", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        f"\\fB{roff(part[1:-1])}\\fR" if part.startswith("`") and len(part) > 1 else roff(part.replace("*", "")) for part in parts
    )


def roff_options(text):
    """A sentence of the help: names of options in bold."""
    parts = re.split(r"(?<![\w-])(--?[a-zA-Z][\w-]*)", text)
    return "".join(f"\\fB{roff(part)}\\fR" if index % 2 else roff(part) for index, part in enumerate(parts))


def manual(program, operations, date):
    out = []
    out.append(f'.TH {program.name.upper()} 1 "{date}" "rtun {program.version}" "rtun"')
    out += [".SH NAME", f"{roff(program.name)} \\- {roff(program.abstract[0].lower() + program.abstract[1:])}"]
    words = " ".join(f"\\fI{roff(argument.value)}\\fR" for argument in program.positional)
    out += [".SH SYNOPSIS", f".B {roff(program.name)}", f"[\\fIoptions\\fR] {words}".rstrip()]
    out.append(".SH DESCRIPTION")
    out.append("\n.PP\n".join(roff_options(" ".join(part.split())) for part in program.description.split("\n\n")))
    out.append(".SH OPTIONS")
    section = None
    for argument in program.arguments:
        if argument.section != section:
            section = argument.section
            out.append(f".SS {roff(section)}")
        out.append(".TP")
        value = f" \\fI{roff(argument.value)}\\fR"
        if argument.kind == "positional":
            out.append(value.strip())
        else:
            names = ", ".join(f"\\fB{roff(name)}\\fR" for name in argument.spelled)
            out.append(names + (value if argument.kind == "option" else ""))
        text = argument.abstract
        if argument.choices and not any(choice in text for choice in argument.choices):
            text += f" One of {', '.join(argument.choices)}."
        if argument.default and "(default" not in text:
            text += f" The default is {argument.default}."
        out.append(roff_options(text))
    out += [".SH EXAMPLES", ".nf", roff(program.examples), ".fi"]

    out.append(".SH EXIT STATUS")
    codes = {row[0]: row[1] for row in table("Exit codes", operations)}
    own = re.findall(r"(?:^|, )(\d+) ", program.codes)
    for code in own:
        if code not in codes:
            sys.exit(f"program_files: docs/operations.md does not explain exit code {code}")
    out += [roff_options(program.codes[0].upper() + program.codes[1:]), ".PP", "In general:"]
    for code in own:
        out += [".TP", f".B {code}", roff_markdown(codes[code])]

    out += [".SH SIGNALS", ".TP", ".B SIGTERM\\fR, \\fBSIGINT"]
    out.append("Stop accepting, let open connections finish for up to 5 s, and exit with 0. A second signal exits at once.")
    out += [".TP", ".B SIGHUP"]
    loading = ", reload certificate and key" if program.short == "server" else ""
    out.append(f"Reopen the log file{loading}, and apply what has changed in the configuration, as far as possible.")
    if any("stats-interval" in option.names for option in program.options):
        out += [".TP", ".B SIGUSR1", "Write statistics to the log."]

    out += [".SH LOG EVENTS", "Lines of the log, which goes to standard error, have a key \\fBevent\\fR:"]
    rows = table("Events", operations)
    mine = [row for row in rows if program.roles & {word.strip() for word in row[1].split(",")}]
    if len(mine) < 5:
        sys.exit(f"program_files: docs/operations.md has too few events of {program.name}")
    for event, _, level, meaning in mine:
        out += [".TP", f"{roff_markdown(event)} ({roff_markdown(level)})", roff_markdown(meaning) if meaning != "–" else "No other keys."]

    out.append(".SH ENVIRONMENT")
    out.append("Each option can be given as a variable, which the command line wins over: \\fBRTUN_SECRET\\fR for \\fB\\-\\-secret\\fR,")
    out.append("\\fBRTUN_SECRET_FILE\\fR for \\fB\\-\\-secret\\-file\\fR, and so on.")
    out += [".SH FILES", ".TP", f".I /etc/rtun/{program.name}.toml", "Configuration of the systemd service, with each option explained; also read by default."]
    out += [".TP", ".I /etc/rtun/secret", "The secret of the systemd services, which systemd passes on."]
    if program.short == "server":
        out += [".TP", ".I /etc/rtun/tls/", "Certificate and key of the systemd service, which systemd passes on."]
    others = [f".BR {roff(f'rtun-{other}')} (1)" for other in TODO if other != program.short]
    out += [".SH SEE ALSO", " ,\n".join([*others, ".BR rtun (1)"])]
    return "\n".join(line for line in out if line) + "\n"


# MARK: completions


def bash_completion(program):
    function = "_" + program.name.replace("-", "_")
    cases = []
    for option in program.options:
        if option.kind != "option":
            continue
        pattern = " | ".join(option.spelled)
        if option.choices:
            action = f"mapfile -t COMPREPLY < <(compgen -W '{' '.join(option.choices)}' -- \"$current\")"
        elif option.value in FILES:
            action = "compopt -o filenames\n        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")"
        elif INTERFACES & set(option.names):
            action = "mapfile -t COMPREPLY < <(compgen -W \"$(command ls /sys/class/net)\" -- \"$current\")"
        else:
            action = ":"
        cases.append(f"    {pattern})\n        {action}\n        return\n        ;;")
    names = " ".join(name for option in program.options for name in option.spelled)
    body = "\n".join(cases)
    return f"""\
# Completions of {program.name} for bash.
{function}() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} option=${{COMP_WORDS[COMP_CWORD - 1]}}
    # --option=value are three words.
    if [ "$current" = = ]; then
        current=
    elif [ "$option" = = ]; then
        option=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    COMPREPLY=()
    case $option in
{body}
    esac
    case $current in
    -*) mapfile -t COMPREPLY < <(compgen -W '{names}' -- "$current") ;;
    esac
}}
complete -F {function} {program.name}
"""


def zsh_completion(program):
    def quoted(text):
        return text.replace("\\", "\\\\").replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]")

    specs = []
    for option in program.options:
        if option.choices:
            action = f"({' '.join(option.choices)})"
        elif option.value in FILES:
            action = "_files"
        elif INTERFACES & set(option.names):
            action = "_net_interfaces"
        else:
            action = " "
        value = f":{quoted(option.value).replace(':', chr(92) + ':')}:{action}" if option.kind == "option" else ""
        # Those of the same option exclude each other, and those that repeat nothing.
        exclusive = "*" if option.repeats else f"({' '.join(option.spelled)})"
        for name in option.spelled:
            equals = "=" if option.kind == "option" and name.startswith("--") else ""
            specs.append(f"    '{exclusive}{name}{equals}[{quoted(option.short)}]{value}'")
    specs += [f"    ':{argument.value}: '" for argument in program.positional]
    return f"#compdef {program.name}\n# Completions of {program.name} for zsh.\n_arguments -s -S \\\n" + " \\\n".join(specs) + "\n"


def fish_completion(program):
    def quoted(text):
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    lines = [f"# Completions of {program.name} for fish.", f"complete -c {program.name} -f"]
    for option in program.options:
        names = " ".join(("-s " if len(name) == 1 else "-l ") + name for name in option.names)
        if option.kind != "option":
            value = ""
        elif option.choices:
            value = f" -x -a {quoted(' '.join(option.choices))}"
        elif option.value in FILES:
            value = " -r -F"
        elif INTERFACES & set(option.names):
            value = " -x -a '(command ls /sys/class/net)'"
        else:
            value = " -x"
        lines.append(f"complete -c {program.name} {names}{value} -d {quoted(option.short)}")
    return "\n".join(lines) + "\n"


# MARK: configuration


def configuration(program):
    short = program.short
    out = [f"# What {program.name} is told by its systemd unit; {program.name}(1) has more.", "#"]
    out += ["# To make it run:", *(("#" + line) for line in TODO[short].split("\n")), "#"]
    out += comment(
        "Below is every option, commented out, with its default or an example. The command line wins over this file, and the unit "
        "gives --config and --secret-file. After a change, "
        f"systemctl reload {program.name} applies what can change while it runs, and the log says what needs a restart. Readable by "
        "root and the group rtun only, since there may be passwords in it."
    )
    if short == "server":
        out.append("#")
        out += comment(
            "Certificate and key: systemd passes on what is in /etc/rtun/tls, cert.pem as tls_cert.pem, so that the user rtun needs "
            "no right to read it. They are copies made at the start: restart the unit when there are new ones. Or name files here "
            "that the group rtun may read: the server reloads these when they change."
        )
    else:
        out.append("#")
        out += comment(
            "A second secret that the server never learns: put it into /etc/credstore/rtun.e2e-secret, where only root needs to be "
            "able to read it, and uncomment e2e-secret-file."
        )
    out += ["", f"[{program.name}]"]
    section = None
    for option in program.arguments:
        if ONCE & set(option.names):
            continue
        if option.section != section and option.section != "Options":
            section = option.section
            out += ["", f"## {section}"]
        out.append("")
        text = option.abstract
        if option.default and "(default" not in text:
            text += f" (default: {option.default})"
        if option.choices and not any(choice in text for choice in option.choices):
            text += f" (values: {', '.join(option.choices)})"
        out += comment(text)
        out.append(f"#{option.key} = {example(program, option)}")
    return "\n".join(out) + "\n"


def example(program, option):
    if option.kind == "flag":
        return "false"
    if option.key in EXAMPLES:
        value = EXAMPLES[option.key]
    elif option.key == "agent":
        value = EXAMPLE_AGENT[program.short]
    elif option.default is not None:
        value = int(option.default) if option.default.isdigit() else option.default
    else:
        value = f"<{option.value}>"
    if isinstance(value, str):
        value = json.dumps(value.replace("{name}", program.short), ensure_ascii=False)
    return f"[{value}]" if option.repeats else f"{value}"


def comment(text):
    return textwrap.wrap(text, 100, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False)


def unit(program):
    text = (HERE / "packaging/systemd" / f"{program.name}.service").read_text()
    hardening = (HERE / "packaging/systemd/hardening").read_text().strip()
    if "@HARDENING@" not in text:
        sys.exit(f"program_files: {program.name}.service does not say where the hardening belongs")
    return text.replace("@HARDENING@", "\n" + hardening).replace("\n\n\n", "\n\n")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, folder = Program(sys.argv[1]), Path(sys.argv[2])
    operations = (HERE / "docs/operations.md").read_text()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    date = time.strftime("%Y-%m-%d", time.gmtime(epoch))
    files = {
        f"{program.name}.1": manual(program, operations, date),
        f"{program.name}.toml": configuration(program),
        f"{program.name}.service": unit(program),
        f"completions/{program.name}.bash": bash_completion(program),
        f"completions/_{program.name}": zsh_completion(program),
        f"completions/{program.name}.fish": fish_completion(program),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
