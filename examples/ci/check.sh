#!/usr/bin/env bash
# Runs in any CI: exports and measures both versions of the model in the same job. $1 is the commit to compare with.
set -euo pipefail
cd "$(dirname "$0")"
base=$1
shift
exec edgekit check --baseline-commit "$base" --report check.xml --report check.md "$@"
