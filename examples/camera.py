"""Classify what a camera sees: `python camera.py BUNDLE 0`, or the images of a folder as frames: `... BUNDLE FOLDER`.

A camera needs OpenCV (`pip install opencv-python-headless`). Frames that come while the model runs are dropped, so that
each line is about what the camera sees now.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import edgekit


def of_camera(number: int) -> Iterator[np.ndarray]:
    """The frames of a camera, RGB."""
    import cv2

    camera = cv2.VideoCapture(number)
    while True:
        is_read, frame = camera.read()
        if not is_read:
            return
        yield frame[..., ::-1]  # OpenCV gives BGR


def of_folder(folder: Path, rate: float) -> Iterator[np.ndarray]:
    """The images of a folder in the order of their names, `rate` a second."""
    for path in sorted(folder.iterdir()):
        yield np.asarray(Image.open(path).convert("RGB"))
        time.sleep(1 / rate)


def main() -> None:
    """Print the prediction for each frame, and at the end how many frames were dropped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("source", help="number of a camera, or a folder of images")
    parser.add_argument("--rate", type=float, default=30.0, help="frames a second of a folder")
    given = parser.parse_args()
    is_camera = given.source.isdigit()
    source = of_camera(int(given.source)) if is_camera else of_folder(Path(given.source), given.rate)
    seen = 0
    with edgekit.load(given.bundle) as session, edgekit.newest(source, keep=1) as frames:
        for frame in frames:
            label, probability = session.predict(frame).scores[0]
            seen += 1
            print(f"{label}  {100 * probability:.1f} %", flush=True)
        print(f"{seen} frames seen, {frames.dropped} dropped")


if __name__ == "__main__":
    main()
