#!/usr/bin/env bash
# Prints a section of CHANGELOG.md as the text of a release: scripts/release-notes.sh [VERSION|Unreleased]. Without a name it is
# the uppermost that has anything in it: what has come since the last version, or the last version. Paragraphs and entries
# become one line each, because releases on GitHub show line breaks as such. Fails when there is no such section or it is empty.
set -euo pipefail
cd "${RTUN_ROOT:-$(dirname "$0")/..}"

awk -v wanted="${1:-}" '
    function flush() {
        if (line != "") text = text line "\n"
        line = ""
    }
    # The name between the brackets of "## [0.1.0] - 2026-01-01".
    /^## \[/ {
        if (inside && (wanted != "" || text ~ /[^[:space:]]/)) exit
        text = ""
        name = $0
        sub(/^## \[/, "", name)
        sub(/\].*/, "", name)
        inside = wanted == "" || name == wanted
        next
    }
    !inside || /^\[[^]]*\]: / { next }
    /^```/ { flush(); code = !code; text = text $0 "\n"; next }
    code { text = text $0 "\n"; next }
    /^[[:space:]]*$/ { flush(); text = text "\n"; next }
    /^(#|[[:space:]]*[-*] )/ { flush(); line = $0; if (/^#/) flush(); next }
    { sub(/^[[:space:]]+/, ""); line = line == "" ? $0 : line " " $0 }
    END {
        flush()
        gsub(/\n\n\n+/, "\n\n", text)
        sub(/^\n+/, "", text)
        sub(/\n+$/, "\n", text)
        printf "%s", text
        exit text !~ /[^[:space:]]/
    }
' CHANGELOG.md || {
    echo "release-notes: CHANGELOG.md has no section \"${1:-}\" with anything in it" >&2
    exit 1
}
