#!/usr/bin/env bash
# From a repository with a model (a .onnx, a .tflite or a bundle) to a gate in CI. In that repository:
#
#     bash gate.sh [github|gitlab] [more options of check]
#
# Commit what it writes. From then on CI fails a change that makes a model slower, larger or less accurate, and names the
# line of edgekit.toml, both figures and their difference.
set -euo pipefail

# Find the models, copy each to edgekit-baseline, and write edgekit.toml and a workflow.
edgekit init --ci "${1:-github}"

# Compare every model with its copy: they are the same, so this passes.
edgekit check "${@:2}"

# A change that is wanted becomes the new baseline, with its reason:
#     edgekit history accept --why "a larger input"
