#!/usr/bin/env bash
# Runs clang-tidy on one file for `./dev tidy`: silent when it is clean.
set -uo pipefail
output=$(clang-tidy-19 -p "$1" --quiet "$2" 2>&1) && exit 0
printf '%s\n' "$output" | grep -v 'warnings\? generated\|Suppressed \|warnings\? treated as error' >&2
exit 1
