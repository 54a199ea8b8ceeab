"""The module for Android in Kotlin: a class around the files in C, which also run on a JVM for the self-test."""

from __future__ import annotations

import shutil
from pathlib import Path
from string import Template
from typing import Final

from edgekit.core.bundle import Artifact
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.flows.deploying.c_program import ABOUT, beyond_c, write_c_files
from edgekit.flows.deploying.program_parts import TEMPLATES, Parts, unwritten, write_readme

# Where each file of the template goes in a module of Gradle.
_PLACES: Final = {
    "Makefile": ".",
    "build.gradle.kts": ".",
    "consumer-rules.pro": ".",
    "AndroidManifest.xml": "src/main",
    "CMakeLists.txt": "src/main/cpp",
    "jni.c": "src/main/cpp",
    "Model.kt": "src/main/kotlin",
    "Native.kt": "src/main/kotlin",
    "Values.kt": "src/main/kotlin",
    "SelfTest.kt": "src/selfTest/kotlin",
}
# Archives whose libraries have the functions that the files in C use.
_ARCHIVES: Final = {
    "onnx": {"dependency": "com.microsoft.onnxruntime:onnxruntime-android:1.24.3", "version": ""},
    "tflite": {
        "dependency": "com.google.ai.edge.litert:litert:2.3.0",
        "version": " It must be LiteRT 2.3 or newer.",
    },
}
_USES: Final = {
    "image": """\
```kotlin
val pixels = IntArray(bitmap.width * bitmap.height)
bitmap.getPixels(pixels, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
val picture = Picture.ofPixels(bitmap.width, bitmap.height, pixels)
val best = model.predict(picture).first()       // its label and its probability
```""",
    "audio": """\
```kotlin
val best = model.predict(samples).first()       // a ShortArray of 16 bit; its label and its probability
```""",
    "array": """\
```kotlin
val best = model.predict(numbers).first()       // a FloatArray; its label and its probability
```""",
}
_OUTPUTS: Final = """\
```kotlin
val outputs = model.run(model.input({source}))  // tensors
```"""
_SOURCES: Final = {"image": "picture", "audio": "samples", "array": "numbers"}


def refused_by_kotlin(spec: ModelSpec, artifact: Artifact) -> str:
    """Why the module in Kotlin cannot run an artifact, empty if it can."""
    return beyond_c(artifact) or unwritten(spec, "Kotlin")


def write_kotlin(parts: Parts, folder: Path) -> None:
    """The module: Kotlin, the files in C, the model as an asset, and the self-test in a source set of its own."""
    for name, place in _PLACES.items():
        (folder / place).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(TEMPLATES / "kotlin" / name, folder / place / name)
    archive = _ARCHIVES[parts.settings.format]
    build = folder / "build.gradle.kts"
    build.write_text(Template(build.read_text(encoding="utf-8")).substitute(archive), encoding="utf-8")
    assets, cases = folder / "src/main/assets", folder / "src/selfTest/cases"
    for made in (assets, cases):
        made.mkdir()
    write_c_files(parts, folder / "src/main/cpp")
    (folder / "src/main/cpp/fail.c").unlink()  # jni.c has another
    for name in ("self_test.c", "self_test.h"):
        (folder / "src/main/cpp" / name).unlink()
    shutil.copyfile(parts.model, assets / parts.model_file)
    for name, content in parts.test_files.items():
        (cases / name).write_bytes(content)
    write_readme(parts, "kotlin", folder, {**ABOUT[parts.settings.format], **archive, "use": _use(parts)})


def _use(parts: Parts) -> str:
    tag = str(type(parts.settings.preprocessing).__struct_config__.tag)
    if parts.settings.task == "classification":
        return _USES[tag]
    return _OUTPUTS.format(source=_SOURCES[tag])
