#!/bin/sh
# Installs programs of rtun from a release, for all users when root runs it and for one user otherwise:
#
#   sh install.sh rtun-agent              into /usr/local/bin (root) or ~/.local/bin
#   sh install.sh --dir DIR agent socks   into DIR, two programs
#   sh install.sh rtun agent              the command `rtun`, which stands in front of the programs that are there, and one
#
# RTUN_BASE_URL: where the files are, without a slash at the end; another release, for example, or a mirror. Without it they
# are taken from the release that this script belongs to.
#
# A file is put in place only when its SHA-256 is the one beside it in the release and it runs here; of several programs all
# are installed or none. It is one rename a program, so that none is ever half there, and a program that runs meanwhile goes
# on. Installing again is how one upgrades.
#
# Exit codes: 0 installed, 64 wrong command line, 69 something is missing or cannot be had, 1 what came is not what it should be.
set -eu

# The release's own address is written here when it is made (scripts/assets.sh).
default_base_url=''
programs='rtun-server rtun-agent rtun-socks rtun-relay rtun'

usage() {
    echo "usage: install.sh [--dir DIR] PROGRAM...    (programs: $programs)"
}

# fail EXIT-CODE WORDS...
fail() {
    code=$1
    shift
    echo "install.sh: $*" >&2
    exit "$code"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# How the files for this machine are called.
find_target() {
    system=$(uname -s)
    machine=$(uname -m)
    case $machine in
    x86_64 | amd64) machine=x86_64 ;;
    aarch64 | arm64) machine=aarch64 ;;
    *) fail 69 "there is no rtun for $system on $machine; it can be built there (docs/building.md)" ;;
    esac
    case $system in
    Linux) echo "$machine-linux" ;;
    Darwin) echo "$machine-apple-darwin" ;;
    *) fail 69 "there is no rtun for $system; it can be had for Linux and macOS" ;;
    esac
}

# download URL FILE
download() {
    if has curl; then
        secure=
        # What was asked for over https must not be fetched over anything else.
        case $1 in https:*) secure='--proto =https --proto-redir =https' ;; esac
        status=0
        # shellcheck disable=SC2086 # words of their own
        answer=$(curl -sSL --fail $secure --connect-timeout 20 --retry 2 -o "$2" -w '%{http_code}' "$1") || status=$?
        [ "$status" -ne 0 ] || return 0
        case $status-$answer in
        22-404) fail 69 "there is no $1 (404): the release has no such file for this machine" ;;
        22-*) fail 69 "cannot download $1: the server answered $answer" ;;
        18-*) fail 69 "cannot download $1: it broke off before the end" ;;
        *) fail 69 "cannot download $1: see curl's line above (exit code $status)" ;;
        esac
    fi
    # Both GNU's and busybox's print the reason; -q would keep GNU's from doing so.
    if ! said=$(wget -O "$2" "$1" 2>&1); then
        case $said in
        *404*) fail 69 "there is no $1 (404): the release has no such file for this machine" ;;
        *) fail 69 "cannot download $1: $(printf '%s\n' "$said" | tail -n 2 | tr '\n' ' ')" ;;
        esac
    fi
}

# Prints the SHA-256 of a file.
digest() {
    if has sha256sum; then
        sha256sum <"$1"
    elif has shasum; then
        shasum -a 256 <"$1"
    else
        openssl dgst -sha256 -r <"$1"
    fi | cut -c 1-64
}

# Fetches a program into the temporary folder and makes sure that it is what the release says and runs here.
fetch() {
    asset=$1-$target
    download "$base/$asset.sha256" "$folder/$asset.sha256"
    read -r wanted name rest <"$folder/$asset.sha256" || true
    case $wanted in *[!0-9a-f]*) wanted= ;; esac
    if [ ${#wanted} -ne 64 ] || [ -n "$rest" ] || [ "${name#\*}" != "$asset" ]; then
        fail 1 "$base/$asset.sha256 is no checksum of $asset; nothing has been installed"
    fi
    echo "install.sh: downloading $base/$asset"
    download "$base/$asset" "$folder/$1"
    got=$(digest "$folder/$1")
    [ "$got" = "$wanted" ] ||
        fail 1 "$asset is not what the release says, damaged or tampered with (SHA-256 $got, should be $wanted); nothing has been installed"
    chmod 755 "$folder/$1"
    # The program's words on the error output are left visible: they say why it does not run.
    version=$("$folder/$1" --version </dev/null | head -n 1)
    [ -n "$version" ] ||
        fail 1 "$asset does not run on this machine ($(uname -s) $(uname -m)); nothing has been installed"
}

main() {
    directory=''
    chosen=''
    while [ $# -gt 0 ]; do
        case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --dir)
            directory=${2:-}
            [ -n "$directory" ] || fail 64 "--dir needs a folder"
            shift
            ;;
        --dir=?*) directory=${1#--dir=} ;;
        -*) fail 64 "there is no option $1; $(usage)" ;;
        *)
            # What the owner's front calls `agent` is rtun-agent; the front itself is `rtun`.
            name=rtun-${1#rtun-}
            [ "$1" != rtun ] || name=rtun
            case " $programs " in *" $name "*) ;; *) fail 64 "there is no program $1; $(usage)" ;; esac
            case " $chosen " in *" $name "*) ;; *) chosen="$chosen $name" ;; esac
            ;;
        esac
        shift
    done
    [ -n "$chosen" ] || fail 64 "which program? $(usage)"

    base=${RTUN_BASE_URL:-$default_base_url}
    base=${base%/}
    [ -n "$base" ] || fail 64 "this script is not from a release: say with RTUN_BASE_URL where the files are"
    target=$(find_target)
    has curl || has wget || fail 69 "needs curl or wget, and there is neither"
    has sha256sum || has shasum || has openssl || fail 69 "needs sha256sum, shasum or openssl, and there is none"

    if [ -z "$directory" ]; then
        if [ "$(id -u)" -eq 0 ]; then
            directory=/usr/local/bin
        else
            [ -n "${HOME:-}" ] || fail 64 "HOME is not set: say with --dir where to install"
            directory=$HOME/.local/bin
        fi
    fi
    case $directory in /*) ;; *) directory=$PWD/$directory ;; esac
    umask 022
    mkdir -p "$directory" 2>/dev/null || true
    [ -w "$directory" ] ||
        fail 69 "cannot write to $directory: run it as root, or say --dir with a folder of your own"

    # In the same folder, so that what follows is a rename.
    folder=$(mktemp -d "$directory/.rtun-install.XXXXXX") || fail 69 "cannot write to $directory"
    trap 'rm -rf "$folder"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM

    for program in $chosen; do
        [ ! -d "$directory/$program" ] || fail 69 "$directory/$program is a folder"
        fetch "$program"
    done
    for program in $chosen; do
        mv -f "$folder/$program" "$directory/$program"
        version=$("$directory/$program" --version </dev/null | head -n 1)
        # The command `rtun` says its name before the version.
        echo "install.sh: $directory/$program is $program ${version#"$program "}"
    done
    case ":${PATH:-}:" in
    *":$directory:"*) ;;
    *) echo "install.sh: $directory is not in PATH" ;;
    esac
}

# Only when all of this script has arrived.
main "$@"
