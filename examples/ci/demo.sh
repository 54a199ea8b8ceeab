#!/usr/bin/env bash
# Three days of a team, in a copy of this folder: nothing changes, a commit adds a slow layer, a runner is noisy.
# Prints the exit code of each check; 0 1 0 is expected.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$(mktemp -d)}
cp -r "$here"/. "$work"
cd "$work"
# The configuration names model.py, which runs: here as in CI, the environment says that it may.
export EDGEKIT_TRUST=.
git() { command git -c user.name=demo -c user.email=demo@example.invalid -c init.defaultBranch=main "$@"; }
git init --quiet .
printf 'edgekit-built/\n*.jsonl\ncheck.*\n__pycache__/\n' >.gitignore
git add . && git commit --quiet -m "a net"

ended() { echo "== $1 ended with $2"; }

code=0; bash check.sh HEAD || code=$?
ended "an unchanged model" "$code"

# Sixteen more convolutions: several times the work.
sed -i 's/nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())/nn.ReLU(), *(nn.Conv2d(16, 16, 3, padding=1) for _ in range(16)), nn.ReLU())/' model.py
git commit --quiet -am "a better net"
code=0; bash check.sh HEAD~1 || code=$?
ended "a slow layer" "$code"

# Two processes per core work at random moments, and the check has to detect a difference of 0.1 %: no method could.
neighbours=()
for _ in $(seq $((2 * $(nproc)))); do
    python3 -c 'import random, time
while True:
    end = time.perf_counter() + random.random() / 5
    while time.perf_counter() < end: pass
    time.sleep(random.random() / 5)' &
    neighbours+=($!)
done
trap 'kill "${neighbours[@]}" 2>/dev/null' EXIT
code=0; edgekit check --baseline-commit HEAD --launches 5 --time-box 40s --minimum-effect 0.1% || code=$?
ended "a noisy runner" "$code"
