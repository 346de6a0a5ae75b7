#!/usr/bin/env bash
# Tries what makes a release, on a small tree of its own and with a gh that only notes what it is asked: a part of `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
count=0
fail() {
    echo "try-release: $*" >&2
    exit 1
}
# same NAME EXPECTED GOT
same() {
    [ "$2" = "$3" ] || fail "$1:"$'\n'"expected: $2"$'\n'"     got: $3"
    count=$((count + 1))
}
# refused NAME EXIT-CODE COMMAND...
refused() {
    local name=$1 code=$2 got=0
    shift 2
    "$@" >"$folder/log" 2>&1 || got=$?
    same "$name: exit code" "$code" "$got"
}

tree=$folder/tree
mkdir -p "$tree/scripts" "$tree/Sources/Shared/CommandSupport/Process"
cp scripts/version.sh scripts/release-notes.sh scripts/assets.sh scripts/publish.sh "$tree/scripts"
cp install.sh "$tree"
software=$tree/Sources/Shared/CommandSupport/Process/Software.swift
cp Sources/Shared/CommandSupport/Process/Software.swift "$software"
sed -i 's/\(static let version = \)".*"/\1"0.9.1"/' "$software"
cat >"$tree/CHANGELOG.md" <<'TEXT'
# Changelog

All of it. [0.9.0]

## [Unreleased]

### Added

- Something that needs
  two lines.
- Another, with `code`:
  - and one below it
    that goes on

```
a  b
c
```

## [0.9.1] - 2026-01-02

A paragraph of
two lines.

### Fixed

- A mistake.

## [0.9.0]

- The first.

[0.9.1]: https://example.com/0.9.1
TEXT
export RTUN_ROOT=$tree

# shellcheck disable=SC2016 # Markdown
unreleased='### Added

- Something that needs two lines.
- Another, with `code`:
  - and one below it that goes on

```
a  b
c
```'
same "notes: Unreleased" "$unreleased" "$(scripts/release-notes.sh Unreleased)"
same "notes: the uppermost" "$unreleased" "$(scripts/release-notes.sh)"
same "notes: a version" 'A paragraph of two lines.

### Fixed

- A mistake.' "$(scripts/release-notes.sh 0.9.1)"
same "notes: the last" '- The first.' "$(scripts/release-notes.sh 0.9.0)"
refused "notes: unknown" 1 scripts/release-notes.sh 0.9
refused "notes: a part of a name" 1 scripts/release-notes.sh 9.1

same "version" 0.9.1 "$(scripts/version.sh)"
for wrong in 0.9.1 0.9.0 0.8.11 v1.0.0 1.0 1.0.0.0 01.0.0 1.0.0-rc1 ' 1.0.0'; do
    refused "version: $wrong" 64 scripts/version.sh "$wrong"
done
same "version: nothing has changed" 0.9.1 "$(scripts/version.sh)"
same "version: set" 0.10.0 "$(scripts/version.sh 0.10.0)"
same "version: is set" 0.10.0 "$(scripts/version.sh)"
same "version: the changes have its name" "$unreleased" "$(scripts/release-notes.sh 0.10.0)"
same "version: notes without new changes" "$unreleased" "$(scripts/release-notes.sh)"
same "version: heading" "## [0.10.0] - $(date -u +%Y-%m-%d)" "$(grep -F '[0.10.0]' "$tree/CHANGELOG.md")"
refused "version: nothing unreleased" 1 scripts/version.sh 0.11.0
same "version: still" 0.10.0 "$(scripts/version.sh)"

# Two machines' dist folders.
for target in x86_64-linux aarch64-apple-darwin; do
    mkdir "$folder/$target"
    for program in rtun-server rtun-agent; do
        for name in "$program-$target" "$program-$target.tar.gz"; do
            echo "$name" >"$folder/$target/$name"
            (cd "$folder/$target" && sha256sum "$name" >"$name.sha256")
        done
    done
done
# Packages, of which that of the command `rtun` is made on each.
for name in rtun-agent_0.10.0-1_amd64.deb rtun-agent-0.10.0-1.x86_64.rpm rtun_0.10.0-1_all.deb rtun-0.10.0-1.noarch.rpm; do
    echo "$name" >"$folder/x86_64-linux/$name"
    (cd "$folder/x86_64-linux" && sha256sum "$name" >"$name.sha256")
done
cp "$folder/x86_64-linux/"rtun[-_]0.10.0-1[_.]* "$folder/aarch64-apple-darwin"
folders=("$folder/x86_64-linux" "$folder/aarch64-apple-darwin")
all='install.sh rtun-0.10.0-1.noarch.rpm rtun-agent-0.10.0-1.x86_64.rpm'
all+=' rtun-agent-aarch64-apple-darwin rtun-agent-aarch64-apple-darwin.tar.gz rtun-agent-x86_64-linux'
all+=' rtun-agent-x86_64-linux.tar.gz rtun-agent_0.10.0-1_amd64.deb rtun-server-aarch64-apple-darwin rtun-server-aarch64-apple-darwin.tar.gz'
all+=' rtun-server-x86_64-linux rtun-server-x86_64-linux.tar.gz rtun_0.10.0-1_all.deb'
# shellcheck disable=SC2046,SC2086 # words of their own
with_checksums=$(printf '%s\n' SHA256SUMS $all $(printf '%s.sha256\n' $all) | LC_ALL=C sort | tr '\n' ' ')
without=$(printf '%s ' "${all#install.sh }")

scripts/assets.sh "$folder/out" https://example.com/r checksums "${folders[@]}" >/dev/null
same "assets" "$with_checksums" "$(cd "$folder/out" && printf '%s\n' * | LC_ALL=C sort | tr '\n' ' ')"
(cd "$folder/out" && sha256sum --check --quiet --strict SHA256SUMS ./*.sha256) || fail "assets: checksums"
same "assets: install.sh" "default_base_url='https://example.com/r'" "$(grep '^default_base_url=' "$folder/out/install.sh")"
scripts/assets.sh "$folder/nightly" https://example.com/r no-checksums "${folders[@]}" >/dev/null
same "assets: nightly" "$without" "$(cd "$folder/nightly" && printf '%s\n' * | LC_ALL=C sort | tr '\n' ' ')"
refused "assets: into a folder with something" 1 \
    scripts/assets.sh "$folder/out" https://example.com/r checksums "${folders[@]}"
refused "assets: a folder twice" 1 \
    scripts/assets.sh "$folder/twice" https://example.com/r checksums "${folders[0]}" "${folders[0]}"
cp -R "${folders[1]}" "$folder/differs"
echo more >>"$folder/differs/rtun_0.10.0-1_all.deb"
(cd "$folder/differs" && sha256sum rtun_0.10.0-1_all.deb >rtun_0.10.0-1_all.deb.sha256)
refused "assets: another package of the command rtun" 1 \
    scripts/assets.sh "$folder/two" https://example.com/r checksums "${folders[0]}" "$folder/differs"
mkdir "$folder/nothing"
refused "assets: an empty folder" 1 scripts/assets.sh "$folder/none" https://example.com/r checksums "$folder/nothing"
cp -R "${folders[0]}" "$folder/damaged"
echo more >>"$folder/damaged/rtun-agent-x86_64-linux"
refused "assets: a damaged file" 1 scripts/assets.sh "$folder/bad" https://example.com/r checksums "$folder/damaged"
rm "$folder/damaged/rtun-agent-x86_64-linux.sha256"
refused "assets: an unchecked file" 1 scripts/assets.sh "$folder/bad2" https://example.com/r checksums "$folder/damaged"

# A gh that knows the releases of which $folder/releases has a line.
mkdir "$folder/bin"
cat >"$folder/bin/gh" <<'SCRIPT'
#!/bin/sh
case "$1 $2" in "release view") exec grep -qx "$3" "$RELEASES" ;; esac
line=
for word in "$@"; do
    case $word in
    *.md) cp "$word" "$CALLS.md"; word=NOTES ;;
    /*) word=${word##*/} ;;
    esac
    line="$line $word"
done
echo "gh$line" >>"$CALLS"
SCRIPT
chmod +x "$folder/bin/gh"
export CALLS=$folder/calls RELEASES=$folder/releases PATH="$folder/bin:$PATH"
export GITHUB_REPOSITORY=owner/rtun GITHUB_SHA=0123456789abcdef0123456789abcdef01234567 GITHUB_SERVER_URL=https://example.com
# calls KIND RELEASE...: what gh is asked when these releases exist.
calls() {
    local kind=$1
    shift
    printf '%s\n' "$@" >"$RELEASES"
    : >"$CALLS"
    scripts/publish.sh "$kind" "${folders[@]}" >/dev/null
    cat "$CALLS"
}
files=${with_checksums% }
tag=rtun_$(date -u +%y%m%d)_0123456
move() {
    echo "gh api --silent --method PATCH repos/owner/rtun/git/refs/tags/$1 -f sha=$GITHUB_SHA -F force=true"
}
# The order is the shell's, by the names in this locale.
sorted() {
    local line
    while IFS= read -r line; do printf '%s\n' "$line" | tr ' ' '\n' | LC_ALL=C sort | tr '\n' ' ' && echo; done
}
same "publish: the first" "$({
    echo "gh release create $tag --repo owner/rtun --target $GITHUB_SHA --latest=false --title $tag --notes-file NOTES $files"
    move "$tag"
    echo "gh release create rtun_latest --repo owner/rtun --target $GITHUB_SHA --latest --title rtun_latest --notes-file NOTES $files"
    move rtun_latest
} | sorted)" "$(calls manual | sorted)"
same "publish: another" "$({
    echo "gh release create $tag --repo owner/rtun --target $GITHUB_SHA --latest=false --title $tag --notes-file NOTES $files"
    move "$tag"
    echo "gh release upload rtun_latest --repo owner/rtun --clobber $files"
    echo "gh release edit rtun_latest --repo owner/rtun --latest --title rtun_latest --notes-file NOTES"
    move rtun_latest
} | sorted)" "$(calls manual rtun_latest nightly | sorted)"
same "publish: nightly" "$({
    echo "gh release upload nightly --repo owner/rtun --clobber ${without% }"
    echo "gh release edit nightly --repo owner/rtun --prerelease --latest=false --title nightly --notes-file NOTES"
    move nightly
} | sorted)" "$(calls nightly rtun_latest nightly | sorted)"
same "publish: notes" "Version 0.10.0, commit $GITHUB_SHA, for:
- aarch64-apple-darwin
- x86_64-linux

$unreleased" "$(<"$CALLS.md")"
refused "publish: another kind" 64 scripts/publish.sh weekly "${folders[@]}"
echo "try-release: $count cases"
