#!/usr/bin/env bash
# What CI runs, whichever CI it is: both models built and measured in the same job. $1 is the commit to compare with.
set -euo pipefail
cd "$(dirname "$0")"
base=$1
shift
bash build.sh "$base"
exec edgekit check --report check.xml --report check.md "$@"
