"""Exporters that go wrong, one way each. Workers find this file through PYTHONPATH."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from edgekit.core.recipe import Recipe
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export.messages import Converted
from edgekit.export.onnx.exporter import OnnxExporter, read_back
from edgekit.export.onnx.quantizer import OnnxQuantizer


class Plain:
    """Copies the file and says how often it was asked."""

    calls = 0

    def prepare(self) -> None:
        """Nothing to import."""

    def export(self, module: Any, spec: ModelSpec, feed: Feed, out: Path) -> Converted:
        raise NotImplementedError

    def quantize(
        self, source: Path, spec: ModelSpec, recipe: Recipe, calibration: Samples | None, out: Path
    ) -> Converted:
        type(self).calls += 1
        out.write_bytes(source.read_bytes())
        return Converted(options={"calls": self.calls, "pid": os.getpid()})


class Failing(Plain):
    """Ends in `fail`, having said something first."""

    def quantize(
        self, source: Path, spec: ModelSpec, recipe: Recipe, calibration: Samples | None, out: Path
    ) -> Converted:
        print("pass 3 of 5: fold constants")
        print("F0000 no kernel for 'Frobnicate'", file=sys.stderr, flush=True)
        sys.stdout.flush()
        self.fail()
        return Converted()

    def fail(self) -> None:
        raise NotImplementedError


class Raising(Failing):
    def fail(self) -> None:
        raise ValueError("operator 'Frobnicate' is not supported\nand a page of advice")


class Leaving(Failing):
    def fail(self) -> None:
        os._exit(0)


class Crashing(Failing):
    def fail(self) -> None:
        # Without this Python would print its own stack first, as a long core dump.
        signal.signal(signal.SIGABRT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGABRT)


class Killed(Failing):
    """What the kernel does to a process that takes too much memory."""

    def fail(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Sleeping(Failing):
    """Hangs, and so does the program that it started."""

    def fail(self) -> None:
        child = subprocess.Popen(["sleep", "60"])
        Path(os.environ["CHILD_PID"]).write_text(str(child.pid))
        time.sleep(60)


class Babbling(Failing):
    """Writes over the pipe that answers go through."""

    def fail(self) -> None:
        for handle in os.listdir("/proc/self/fd"):
            if os.readlink(f"/proc/self/fd/{handle}").startswith("pipe:"):
                try:
                    os.write(int(handle), b"Segmentation fault in pass 4\n")
                except OSError:
                    continue


class Silent(Plain):
    """Says that all is well and writes nothing."""

    def quantize(
        self, source: Path, spec: ModelSpec, recipe: Recipe, calibration: Samples | None, out: Path
    ) -> Converted:
        return Converted()


class Perturbing(OnnxExporter, OnnxQuantizer):
    """Converts, and changes one weight before anybody has looked at the file."""

    def export(self, module: Any, spec: ModelSpec, feed: Feed, out: Path, **options: Any) -> Converted:
        import onnx
        from onnx import numpy_helper

        made = super().export(module, spec, feed, out)
        model = onnx.load(str(out))
        weights = next(one for one in model.graph.initializer if len(one.dims) > 1)
        array = numpy_helper.to_array(weights).copy()
        array.flat[0] += 1.0
        weights.CopyFrom(numpy_helper.from_array(array, weights.name))
        onnx.save(model, str(out))
        return made


class Garbage(OnnxExporter, OnnxQuantizer):
    """Converts, and leaves a file that no engine opens."""

    def export(self, module: Any, spec: ModelSpec, feed: Feed, out: Path, **options: Any) -> Converted:
        made = super().export(module, spec, feed, out, **options)
        out.write_bytes(b"\x08\x0a" + b"not a model at all" * 10)
        return made


class Misquantizing(OnnxExporter, ABC):
    """Converts as it should, and quantizes in a way of its own."""

    def quantize(
        self, source: Path, spec: ModelSpec, recipe: Recipe, calibration: Samples | None, out: Path, **options: Any
    ) -> Converted:
        return self.instead(source, spec, out)

    @abstractmethod
    def instead(self, source: Path, spec: ModelSpec, out: Path) -> Converted:
        """What quantizing does here."""


class SilentQuantizer(Misquantizing):
    """Converts, then says that all is well and writes nothing."""

    def instead(self, source: Path, spec: ModelSpec, out: Path) -> Converted:
        return Converted()


class KilledQuantizer(Misquantizing):
    """Converts, then takes too much memory."""

    def instead(self, source: Path, spec: ModelSpec, out: Path) -> Converted:
        os.kill(os.getpid(), signal.SIGKILL)
        return Converted()


class HangingQuantizer(Misquantizing):
    """Converts, then never answers."""

    def instead(self, source: Path, spec: ModelSpec, out: Path) -> Converted:
        time.sleep(600)
        return Converted()


class GreedyQuantizer(Misquantizing):
    """Converts, then asks for more memory than there is."""

    def instead(self, source: Path, spec: ModelSpec, out: Path) -> Converted:
        raise MemoryError


class ScribblingQuantizer(Misquantizing):
    """Converts, then leaves garbage and says that all is well."""

    def instead(self, source: Path, spec: ModelSpec, out: Path) -> Converted:
        out.write_bytes(b"garbage" * 100)
        return Converted()


class WrongQuantizer(Misquantizing):
    """Converts, then halves a weight and says that all is well."""

    def instead(self, source: Path, spec: ModelSpec, out: Path) -> Converted:
        import onnx
        from onnx import numpy_helper

        model = onnx.load(str(source))
        weights = next(one for one in model.graph.initializer if len(one.dims) > 1)
        weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) / 2, weights.name))
        onnx.save(model, str(out))
        return read_back(out, spec)


class CrashingEngine(OnnxExporter, OnnxQuantizer):
    """Converts to a file that its engine does not survive."""

    def quantize(self, *given: Any, **options: Any) -> Converted:
        from edgekit.runtime.backends.onnxruntime import OnnxRuntime

        OnnxRuntime.open = crash  # type: ignore[method-assign, assignment]  # in the worker alone
        return super().quantize(*given, **options)


def crash(*_: object) -> Any:
    os.kill(os.getpid(), signal.SIGSEGV)
