#!/usr/bin/env bash
# What CI runs, whichever CI it is: both models made and measured in the same job. $1 is the commit to compare with.
set -euo pipefail
cd "$(dirname "$0")"
base=$1
shift
exec edgekit check --baseline-commit "$base" --report check.xml --report check.md "$@"
