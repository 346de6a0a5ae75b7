#!/usr/bin/env bash
# Tries install.sh against a web server on loopback that has good, damaged and missing files: a part of `make test`. The
# programs of that release are small scripts. What fails must leave the folder as it was.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null || true; rm -rf "$folder"' EXIT
release=$folder/release
log=$folder/log

fail() {
    echo "try-install: $*" >&2
    [ ! -s "$log" ] || sed 's/^/    /' "$log" >&2
    exit 1
}

# A program of a release and its checksum: put RELEASE PROGRAM TARGET VERSION
put() {
    local file=$2-$3
    mkdir -p "$release/$1"
    printf '#!/bin/sh\necho "%s"\necho commit 0123456789ab\n' "$4" >"$release/$1/$file"
    (cd "$release/$1" && sha256sum "$file" >"$file.sha256")
}

machine=$(uname -m)
target=$machine-linux
for name in rtun-server rtun-agent rtun-socks rtun-relay; do put good "$name" "$target" 0.1.0; done
# The command in front of them is a script, which tells the versions of others, too.
put good rtun "$target" 'rtun 0.1.0'
put good rtun-agent aarch64-linux 0.1.0-arm64
put good rtun-agent aarch64-apple-darwin 0.1.0-mac
put good rtun-agent x86_64-apple-darwin 0.1.0-old-mac
put newer rtun-agent "$target" 0.2.0
cp -R "$release/good" "$release/tampered"
echo 'echo evil' >>"$release/tampered/rtun-socks-$target"
cp -R "$release/good" "$release/cut"
truncate -s -5 "$release/cut/rtun-agent-$target"
mkdir "$release/empty" "$release/unsigned"
cp "$release/good/rtun-agent-$target" "$release/unsigned"
cp -R "$release/good" "$release/other"
cp "$release/good/rtun-socks-$target.sha256" "$release/other/rtun-agent-$target.sha256"
cp -R "$release/good" "$release/page"
echo '<html><body>Sign in</body></html>' >"$release/page/rtun-agent-$target.sha256"
mkdir "$release/broken"
printf '#!/nowhere/interpreter\n' >"$release/broken/rtun-agent-$target"
(cd "$release/broken" && sha256sum "rtun-agent-$target" >"rtun-agent-$target.sha256")

# Below /break/ a transfer ends in its middle, below /stall/ it stops there.
python3 - "$release" >"$folder/port" 2>/dev/null <<'PYTHON' &
import functools, http.server, os, sys, time

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        kind = self.path.split("/")[1]
        if kind not in ("break", "stall") or self.path.endswith(".sha256"):
            for name in ("/break/", "/stall/"):
                self.path = self.path.replace(name, "/good/")
            return super().do_GET()
        with open(self.directory + self.path.replace("/" + kind + "/", "/good/"), "rb") as file:
            content = file.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:10])
        self.wfile.flush()
        if kind == "stall":
            open(self.directory + "/stalled", "w").close()
            time.sleep(60)
        self.close_connection = True

with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=sys.argv[1])) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
PYTHON
server=$!
for _ in $(seq 200); do
    [ ! -s "$folder/port" ] || break
    sleep 0.05
done
url=http://127.0.0.1:$(<"$folder/port")

all=$PATH
# Folders for PATH with fewer programs, or with others, than this machine has.
tools=(sh sed cut head tail tr mktemp mkdir chmod mv rm id uname cat grep)
path() {
    local directory=$folder/path-$1 tool
    shift
    mkdir -p "$directory"
    for tool in "${tools[@]}" "$@"; do ln -sf "$(command -v "$tool")" "$directory/$tool"; done
    echo "$directory"
}
with_curl=$(path curl curl sha256sum)
with_wget=$(path wget wget sha256sum)
with_neither=$(path neither sha256sum)
with_openssl=$(path openssl curl openssl)
without_digest=$(path digest curl)
# A machine that says it is another: pretend SYSTEM MACHINE
pretend() {
    local directory=$folder/path-$1-$2
    mkdir -p "$directory"
    # shellcheck disable=SC2016 # for the script that is written
    printf '#!/bin/sh\ncase $1 in -s) echo %s ;; -m) echo %s ;; esac\n' "$1" "$2" >"$directory/uname"
    chmod +x "$directory/uname"
    echo "$directory:$PATH"
}
mkdir "$folder/path-user"
printf '#!/bin/sh\necho 1000\n' >"$folder/path-user/id"
chmod +x "$folder/path-user/id"

count=0
into=$folder/into
shell=(sh)
# Runs install.sh with RELEASE and arguments; variables can be set in front.
install() {
    local base=$url/$1
    shift
    RTUN_BASE_URL=$base "${shell[@]}" install.sh "$@" >"$log" 2>&1
}

# What is in the folder, with contents.
state() {
    (cd "$into" && PATH=$all find . -mindepth 1 -exec ls -ld --time-style=full-iso {} + && cat ./*) 2>/dev/null || true
}

# installed NAME VERSION PROGRAM: what was installed is that version.
installed() {
    [ "$("$3" --version | head -n 1)" = "$2" ] || fail "$1: not $2"
    [ "$(stat -c %a "$3")" = 755 ] || fail "$1: mode $(stat -c %a "$3")"
    [ -z "$(find "$(dirname "$3")" -name '.rtun-install*')" ] || fail "$1: a temporary folder is left"
    count=$((count + 1))
}

# refused NAME EXIT-CODE WORDS RELEASE ARGUMENT...: fails so, says so, and changes nothing.
refused() {
    local name=$1 code=$2 words=$3 before got=0
    shift 3
    before=$(state)
    install "$@" || got=$?
    [ "$got" -eq "$code" ] || fail "$name: exit code $got instead of $code"
    grep -qF -- "$words" "$log" || fail "$name: does not say \"$words\""
    [ "$(state)" = "$before" ] || fail "$name: something was changed"
    count=$((count + 1))
}

shells=("sh" "bash --posix")
! command -v busybox >/dev/null || shells+=("busybox sh")
for choice in "${shells[@]}"; do
    read -ra shell <<<"$choice"
    rm -rf "$into"
    install good --dir "$into" rtun-agent || fail "$choice: does not install"
    installed "$choice" 0.1.0 "$into/rtun-agent"
    install newer --dir="$into" agent || fail "$choice: does not upgrade"
    installed "$choice: newer" 0.2.0 "$into/rtun-agent"
    install good --dir "$into" agent rtun-socks agent || fail "$choice: does not install two"
    installed "$choice: two" 0.1.0 "$into/rtun-socks"
    install good --dir "$into" rtun agent || fail "$choice: does not install the command rtun"
    installed "$choice: the command rtun" "rtun 0.1.0" "$into/rtun"
    grep -qxF "install.sh: $into/rtun is rtun 0.1.0" "$log" || fail "$choice: the command rtun: another line about it"

    refused "$choice: tampered" 1 "not what the release says" tampered --dir "$into" rtun-agent rtun-socks
    refused "$choice: cut short" 1 "not what the release says" cut --dir "$into" rtun-agent
    refused "$choice: broken off" 69 "broke off before the end" break --dir "$into" rtun-agent
    refused "$choice: missing" 69 "(404)" empty --dir "$into" rtun-agent
    refused "$choice: no checksum" 69 "(404)" unsigned --dir "$into" rtun-agent
    refused "$choice: another's checksum" 1 "is no checksum" other --dir "$into" rtun-agent
    refused "$choice: a page as checksum" 1 "is no checksum" page --dir "$into" rtun-agent
    refused "$choice: does not run" 1 "does not run on this machine" broken --dir "$into" rtun-agent
    refused "$choice: no program" 64 "which program?" good --dir "$into"
    refused "$choice: unknown program" 64 "no program nginx" good --dir "$into" nginx
    refused "$choice: unknown option" 64 "no option --prefix" good --prefix "$into" rtun-agent
    refused "$choice: --dir alone" 64 "--dir needs" good rtun-agent --dir
done
shell=(sh)

PATH=$with_wget install good --dir "$folder/wget" rtun-agent || fail "wget: does not install"
installed wget 0.1.0 "$folder/wget/rtun-agent"
PATH=$with_wget refused "wget: missing" 69 "(404)" empty --dir "$into" rtun-agent
PATH=$with_wget refused "wget: tampered" 1 "not what the release says" tampered --dir "$into" rtun-socks
PATH=$with_openssl install good --dir "$folder/openssl" rtun-agent || fail "openssl: does not install"
installed openssl 0.1.0 "$folder/openssl/rtun-agent"
PATH=$with_curl install good --dir "$folder/curl" rtun-agent || fail "curl: does not install"
installed curl 0.1.0 "$folder/curl/rtun-agent"
PATH=$with_neither refused "no curl, no wget" 69 "needs curl or wget" good --dir "$into" rtun-agent
PATH=$without_digest refused "no sha256sum" 69 "needs sha256sum" good --dir "$into" rtun-agent

for machine in "Linux x86_64 x86_64-linux" "Linux aarch64 aarch64-linux" "Darwin arm64 aarch64-apple-darwin" \
    "Darwin x86_64 x86_64-apple-darwin"; do
    read -r system machine name <<<"$machine"
    [ -e "$release/good/rtun-agent-$name" ] || put good rtun-agent "$name" 0.1.0
    PATH=$(pretend "$system" "$machine") install good --dir "$folder/$name" rtun-agent || fail "$name: does not install"
    cmp -s "$folder/$name/rtun-agent" "$release/good/rtun-agent-$name" || fail "$name: another file"
    count=$((count + 1))
done
PATH=$(pretend Linux riscv64) refused "riscv64" 69 "no rtun for Linux on riscv64" good --dir "$into" rtun-agent
PATH=$(pretend FreeBSD amd64) refused "FreeBSD" 69 "no rtun for FreeBSD" good --dir "$into" rtun-agent

HOME=$folder/home PATH=$folder/path-user:$PATH install good rtun-relay || fail "for one user: does not install"
installed "for one user" 0.1.0 "$folder/home/.local/bin/rtun-relay"
grep -q 'is not in PATH' "$log" || fail "for one user: does not say that the folder is not in PATH"
if [ "$(id -u)" -eq 0 ]; then
    # In a namespace of mounts, so that this machine's own folder stays as it is.
    RTUN_BASE_URL=$url/good unshare --mount sh -euc 'mount -t tmpfs none /usr/local/bin
        sh install.sh rtun-relay && test -x /usr/local/bin/rtun-relay' >"$log" 2>&1 || fail "for root: does not install"
    count=$((count + 1))
fi
touch "$folder/file"
refused "no folder" 69 "cannot write to $folder/file" good --dir "$folder/file" rtun-agent
RTUN_BASE_URL='' sh install.sh rtun-agent >"$log" 2>&1 && fail "not from a release: installs"
grep -q 'RTUN_BASE_URL' "$log" || fail "not from a release: does not say so"
url_before=$url url=http://127.0.0.1:1
refused "no server" 69 "cannot download" good --dir "$into" rtun-agent
url=$url_before

# Interrupted in the middle of a download.
before=$(state)
setsid env RTUN_BASE_URL="$url/stall" sh install.sh --dir "$into" rtun-agent >"$log" 2>&1 &
pid=$!
for _ in $(seq 200); do
    [ ! -e "$release/stalled" ] || break
    sleep 0.05
done
kill -TERM -- "-$pid"
wait "$pid" && fail "interrupted: exit code 0"
[ "$(state)" = "$before" ] || fail "interrupted: something was changed"
count=$((count + 1))

# A script that has come in part, through a pipe to the shell, does nothing.
length=$(wc -c <install.sh)
for cut in $(seq 400 397 $((length - 12))); do
    head -c "$cut" install.sh | RTUN_BASE_URL=$url/newer sh -s -- --dir "$into" rtun-agent >"$log" 2>&1 || true
    [ "$(state)" = "$before" ] || fail "$cut of $length bytes of the script: something was changed"
    count=$((count + 1))
done
echo "try-install: $count cases"
