#!/usr/bin/env bash
# Prints the Debian mirror that this machine's own package sources name, and nothing when they name none.
cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    grep -v '^[[:space:]]*#' | grep -oE 'https?://[^ ]+/debian/?( |$)' | sed 's/ *$//' | head -n 1
