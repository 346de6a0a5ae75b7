# shellcheck shell=bash disable=SC2154
# A Debian in a folder, to work in with chroot. Sourced by scripts that are in a mount namespace of their own by the time that they
# call make_root and enter_root, and that have set
#   name         what messages begin with
#   suite, root  which Debian, and its folder
#   log          a file for the output of steps

fail() {
    echo "$name: $*" >&2
    exit 1
}

# Runs a step with its output in the log, and says how long it took, or what the log has about its failure.
step() {
    local title=$1 began=$SECONDS first
    shift
    touch "$log"
    first=$(($(wc -l <"$log") + 1))
    if ! "$@" >>"$log" 2>&1 </dev/null; then
        {
            tail -n "+$first" "$log" | grep -aE 'error: |✘' | tail -n 30 || true
            echo "…"
            tail -n 20 "$log"
        } >&2
        fail "$title: failed; the log is $log"
    fi
    echo "$name: $title: $((SECONDS - began)) s"
}

# Makes a folder of this machine usable in the root, by the same path; readable only with `ro`.
lend() {
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    [ "${2:-}" != ro ] || mount -o remount,bind,ro "$root$1"
}

# make_root [PACKAGE...]: the Debian with these packages and what has to be there.
make_root() {
    local mirror packages
    mirror=$(scripts/debian-mirror.sh)
    packages=$(IFS=, && echo "$*")
    # What can be made again need not survive a power cut; waiting for the disk would double the time.
    mkdir -p "$root/etc/dpkg/dpkg.cfg.d"
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
    step "debootstrap of $suite${mirror:+ from $mirror}" \
        debootstrap --variant=minbase ${packages:+--include="$packages"} "$suite" "$root" ${mirror:+"$mirror"}
}

# What programs in there expect. The network is this machine's: its names, whom it trusts, what apt has to know of the mirror, and
# where git has been told to look for packages, with that folder if it is one.
enter_root() {
    local file entry key base
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
        if [ -e "$file" ]; then
            mkdir -p "$root$(dirname "$file")"
            cp --dereference --remove-destination "$file" "$root$file"
        fi
    done
    apt-config dump Acquire >"$root/etc/apt/apt.conf.d/99this-machine"
    printf '[safe]\n\tdirectory = *\n' >"$root/etc/gitconfig"
    while IFS= read -r -d '' entry; do
        key=${entry%%$'\n'*}
        git config --file "$root/etc/gitconfig" --add "$key" "${entry#*$'\n'}"
        base=${key#url.}
        base=${base%.insteadof}
        base=${base#file://}
        if [[ $base == /* && -d $base ]] && ! mountpoint -q "$root$base"; then lend "${base%/}" ro; fi
    done < <(git config --null --get-regexp '^url\..*\.insteadof$' || true)
}
