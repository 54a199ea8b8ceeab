#!/usr/bin/env bash
# From two versions of a .tflite to what the new one costs:
#
#     bash verdict.sh old.tflite new.tflite [more options of compare]
#
# Exits with 0 if the new version is as fast or faster, with 1 if it is slower, with 4 if the time ran out before that was
# known.
set -euo pipefail

old=$1 new=$2

# What is in the new file: operators, multiplications, weights, and where float is left in a quantized one.
edgekit inspect "$new"

# Where its time goes, operator by operator, under the names of the file.
edgekit profile "$new" --operators --launches 5 --report versions-edgekit.html

# Size, operators, outputs on the same generated inputs, and whether it is slower; both are measured alternately.
edgekit compare "$old" "$new" --report versions-edgekit.md "${@:3}"
