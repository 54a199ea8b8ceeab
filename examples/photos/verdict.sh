#!/usr/bin/env bash
# From your own classifier, a folder of photos (one subfolder per class) and a checkpoint of Lightning to a verdict:
#
#     bash verdict.sh net.py:Net last.ckpt photos photo.jpg ['resize=256,crop=224,mean=…,std=…'] [more options of build]
#
# The fifth argument is the preprocessing of your training. The result is in photos-edgekit.
set -euo pipefail

net=$1 checkpoint=$2 photos=$3 photo=$4
steps=${5:-resize=256,crop=224,mean=0.485;0.456;0.406,std=0.229;0.224;0.225}

# Export, compare with PyTorch, measure accuracy on photos that int8 was not calibrated with, and latency here.
edgekit build "$net" --weights "$checkpoint" --samples "$photos" --preprocess "$steps" \
    --to onnx-fp32,onnx-int8 --budget 'accuracy.drop <= 5 pt' --out photos-edgekit "${@:6}"

# Classify one photo with the int8 file: the bundle knows the preprocessing and the names of the classes.
edgekit run photos-edgekit/bundle --artifact onnx-int8 --input "$photo"

# Pack everything into one file for the machine that will run it.
edgekit bundle pack photos-edgekit/bundle --out photos.edgekit
