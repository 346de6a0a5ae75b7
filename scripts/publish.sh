#!/usr/bin/env bash
# Publishes on GitHub what `make dist` has made on all machines, by the command gh: scripts/publish.sh KIND FOLDER...
#
#   manual    two releases: rtun_YYMMDD_<first seven of the commit>, and rtun_latest, which moves to this commit
#   nightly   the prerelease `nightly`, which moves to this commit; without checksums
#
# Of a release that is there already, files of the same names are replaced. The text is the uppermost section of CHANGELOG.md.
# GITHUB_REPOSITORY (OWNER/NAME) and GITHUB_SHA say what and where, GITHUB_SERVER_URL which GitHub, and gh takes its own GH_TOKEN.
set -euo pipefail
cd "${RTUN_ROOT:-$(dirname "$0")/..}"

[ $# -ge 2 ] || {
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 64
}
kind=$1
shift
repository=${GITHUB_REPOSITORY:?} commit=${GITHUB_SHA:?}
downloads=${GITHUB_SERVER_URL:-https://github.com}/$repository/releases/download
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# What a release's page says, with the version that `--version` prints and the targets that there are files for.
notes() {
    local checksums=$1 out=$2 file
    echo "Version $(scripts/version.sh), commit $commit, for:"
    for file in "$out"/rtun-server-*; do
        case $file in *-linux | *-apple-darwin) echo "- ${file##*/rtun-server-}" ;; esac
    done
    echo
    if [ "$checksums" = checksums ]; then
        # shellcheck disable=SC2016 # Markdown
        printf 'Each file has its `.sha256` beside it (`sha256sum -c FILE.sha256`, on macOS `shasum -a 256 -c FILE.sha256`).\n\n'
    fi
    scripts/release-notes.sh
}

# publish TAG checksums|no-checksums [FLAG...] -- FOLDER...: flags are those that `gh release create` and `edit` share.
publish() {
    local tag=$1 checksums=$2 flags=()
    shift 2
    while [ "$1" != -- ]; do
        flags+=("$1")
        shift
    done
    shift
    local out=$folder/$tag
    scripts/assets.sh "$out" "$downloads/$tag" "$checksums" "$@"
    notes "$checksums" "$out" >"$folder/$tag.md"
    flags+=(--title "$tag" --notes-file "$folder/$tag.md")
    if gh release view "$tag" --repo "$repository" >/dev/null 2>&1; then
        gh release upload "$tag" --repo "$repository" --clobber "$out"/*
        gh release edit "$tag" --repo "$repository" "${flags[@]}"
    else
        # It stays a draft until all files are there.
        gh release create "$tag" --repo "$repository" --target "$commit" "${flags[@]}" "$out"/*
    fi
    # Only now, so that whoever sees the new place of the tag finds the new files. A tag that was there stays where it was by the above.
    gh api --silent --method PATCH "repos/$repository/git/refs/tags/$tag" -f sha="$commit" -F force=true
}

case $kind in
manual)
    publish "rtun_$(date -u +%y%m%d)_${commit:0:7}" checksums --latest=false -- "$@"
    publish rtun_latest checksums --latest -- "$@"
    ;;
nightly) publish nightly no-checksums --prerelease --latest=false -- "$@" ;;
*)
    echo "publish: manual or nightly, not $kind" >&2
    exit 64
    ;;
esac
