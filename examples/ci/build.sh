#!/usr/bin/env bash
# Exports model.py of the working tree into built/now, and that of the commit $1 into built/base.
set -euo pipefail
base=$1
export_model() { edgekit export "$1:net" --input 'image:float32[N,1,8,8]' --to onnx-fp32 --out "$2" --force --quiet >/dev/null; }

mkdir -p built/source
git show "$base:./model.py" >built/source/model.py
export_model built/source/model.py built/base
export_model model.py built/now
