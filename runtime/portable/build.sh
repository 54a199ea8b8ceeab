#!/bin/sh
# Build the C runners that ship with edgekit: `build.sh ZIG_PYTHON [FOLDER]`, with a Python that has ziglang 0.17.0.
# The same compiler gives the same bytes on any machine; a test builds them again and compares.
set -eu
python=$1
here=$(cd "$(dirname "$0")" && pwd)
out=${2:-$here/bin}
mkdir -p "$out"
cd "$here"
for machine in aarch64 x86_64; do
  # 2.28 is the oldest glibc that ONNX Runtime's own libraries run on.
  "$python" -m ziglang cc -target "$machine-linux-gnu.2.28" -std=gnu11 -Os -s -Wall -Wextra -Wno-deprecated-non-prototype \
    -o "$out/runner-$machine" runner.c -ldl
done
