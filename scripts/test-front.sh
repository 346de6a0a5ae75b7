#!/usr/bin/env bash
# Tests the command `rtun` (packaging/front) with programs that print what they are given. Takes a second.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
passed=0

# Makes a program that prints its name and its arguments, one in each line, and ends with 42.
fake() {
    mkdir -p "$(dirname "$1")"
    # shellcheck disable=SC2016  # the script's own variables
    printf '#!/bin/sh\n[ "${1-}" = --version ] && { printf "0.1.0\\ncommit x\\n"; exit; }\necho "${0##*/}"\nfor word; do echo "<$word>"; done\nexit 42\n' >"$1"
    chmod +x "$1"
}

# expect TITLE STATUS OUTPUT COMMAND...: OUTPUT is a pattern for stdout and stderr together.
expect() {
    local title=$1 status=$2 pattern=$3 output code=0
    shift 3
    # Only what is asked for: programs of this machine must not be found.
    output=$(env -i PATH="${search:-/usr/bin:/bin}" "$@" 2>&1) || code=$?
    # shellcheck disable=SC2053  # a pattern
    if [ "$code" -eq "$status" ] && [[ $output == $pattern ]]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'test-front: %s: exit %s in place of %s, and said\n%s\n' "$title" "$code" "$status" "$output" >&2
    fi
}

lines() { printf '%s\n' "$@"; }

for shell in sh dash busybox bash; do
    # Whatever /bin/sh is on this machine: the others that are here have their turn, too.
    command -v "$shell" >/dev/null || continue
    interpreter=("$(command -v "$shell")")
    [ "$shell" != busybox ] || interpreter+=(sh)
    bin=$folder/$shell/bin
    scripts/front.sh "$bin/rtun"
    for name in server agent socks relay; do fake "$bin/rtun-$name"; done
    rtun=("${interpreter[@]}" "$bin/rtun")

    # The owner's commands, word for word.
    expect "$shell: agent listen" 42 \
        "$(lines rtun-server '<--addr>' '<0.0.0.0:8888>' '<--https-key>' '</certs/xxx.com.key>' \
            '<--https-cert>' '</certs/xxx.com.pem>' '<--secret>' '<sec123>')" \
        "${rtun[@]}" agent listen --addr 0.0.0.0:8888 --https-key /certs/xxx.com.key --https-cert /certs/xxx.com.pem \
        --secret sec123
    expect "$shell: agent pub" 42 \
        "$(lines rtun-agent '<https://xxx.com:8888>' '<--agent>' '<rtun>' '<--expire_in>' '<60>' '<--secret>' '<sec123>')" \
        "${rtun[@]}" agent pub "https://xxx.com:8888" --agent rtun --expire_in 60 --secret sec123
    expect "$shell: socks" 42 \
        "$(lines rtun-socks '<--listen>' '<0.0.0.0:2080>' '<https://xxx.com:8888>' '<--secret>' '<sec123>')" \
        "${rtun[@]}" socks --listen 0.0.0.0:2080 "https://xxx.com:8888" --secret sec123
    expect "$shell: relay" 42 \
        "$(lines rtun-relay '<-L>' '<udp://0.0.0.0:15353\?to=8.8.8.8:53>' '<-L>' '<0.0.0.0:15354\?to=8.8.4.4:53>' \
            '<quic://127.0.0.1:8888>' '<--secret>' '<sec123>' '<--quic-insecure>')" \
        "${rtun[@]}" relay -L 'udp://0.0.0.0:15353?to=8.8.8.8:53' -L '0.0.0.0:15354?to=8.8.4.4:53' \
        "quic://127.0.0.1:8888" --secret sec123 --quic-insecure

    # What a shell could spoil on the way.
    expect "$shell: words that need care" 42 "$(lines rtun-agent '<>' '<a  b>' "<'\"\\\$x\\*>" '<-->' '<--help>')" \
        "${rtun[@]}" agent pub '' 'a  b' "'\"\$x*" -- --help
    expect "$shell: help of a program" 42 "$(lines rtun-socks '<--help>')" "${rtun[@]}" socks --help
    expect "$shell: help" 0 'Usage: rtun *agent listen*agent pub*socks*relay*' "${rtun[@]}" --help
    expect "$shell: version" 0 "rtun [0-9]*.*rtun-server 0.1.0 ($bin/rtun-server)*rtun-relay 0.1.0 (*" "${rtun[@]}" --version
    expect "$shell: nothing" 64 'rtun: which command?*Usage:*' "${rtun[@]}"
    expect "$shell: agent" 64 'rtun: agent listen, or agent pub?*' "${rtun[@]}" agent
    expect "$shell: agent nonsense" 64 "rtun: there is no 'agent pubs'*" "${rtun[@]}" agent pubs
    expect "$shell: nonsense" 64 "rtun: there is no command 'sock'*" "${rtun[@]}" sock

    # Where programs are looked for.
    rm "$bin/rtun-agent"
    expect "$shell: missing" 69 'rtun: rtun-agent is not installed*apt install ./rtun-agent_*rtun-agent-TARGET*' \
        "${rtun[@]}" agent pub URL
    expect "$shell: version with one missing" 0 '*rtun-agent is not installed*' "${rtun[@]}" --version
    fake "$folder/$shell/elsewhere/rtun-agent"
    search=$folder/$shell/elsewhere:/usr/bin:/bin expect "$shell: in PATH" 42 'rtun-agent*' "${rtun[@]}" agent pub URL
    cp "$bin/rtun" "$bin/rtun-x86_64-linux"
    fake "$bin/rtun-agent-x86_64-linux"
    expect "$shell: as a release names it" 42 'rtun-agent-x86_64-linux*' \
        "${interpreter[@]}" "$bin/rtun-x86_64-linux" agent pub URL
    mkdir -p "$folder/$shell/a b"
    cp "$bin/rtun" "$folder/$shell/a b/rtun"
    fake "$folder/$shell/a b/rtun-socks"
    expect "$shell: in a folder with a space" 42 'rtun-socks*' "${interpreter[@]}" "$folder/$shell/a b/rtun" socks URL
done

# By its name alone, and the process stays the same: signals and the exit code are the program's.
bin=$folder/sh/bin
search=$bin:/usr/bin:/bin expect 'by name' 42 'rtun-relay*' rtun relay URL
# shellcheck disable=SC2016  # the script's own variables
printf '#!/bin/sh\necho $$\n' >"$bin/rtun-socks"
# shellcheck disable=SC2016
expect 'the same process' 0 'same' \
    sh -c 'read -r was <<END
$(exec sh -c '\''echo $$; exec "$0" socks'\'' "$0" | tr "\n" " ")
END
set -- $was; [ "$1" = "$2" ] && echo same' "$bin/rtun"

echo "test-front: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
