"""How large edgekit with the extra `cpu` is, and that it runs and profiles a bundle without torch.

Usage: install_size.py [BUNDLE]. Without a bundle one is exported from `digits` first. Sizes are those of the files in
site-packages, without byte code, in MB of 10^6 bytes.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures.figure_rows import record

from edgekit.core.system.durable.owners import temporary_folder

ROOT = Path(__file__).parents[1]
SHOWN = 6
ABSENT = ("torch", "onnx", "scipy", "ai_edge_litert")


def call(command: Sequence[str | Path], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def make_bundle(folder: Path) -> Path:
    out = folder / "bundle"
    call([sys.executable, "-m", "edgekit", "export", "digits", "--to", "onnx-fp32,onnx-int8", "--out", out])
    return out


def install(folder: Path) -> Path:
    """The Python of a fresh environment that holds edgekit with the extra `cpu` and nothing else, not even pip."""
    call([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", ROOT])
    (wheel,) = (folder / "dist").glob("*.whl")
    call([sys.executable, "-m", "venv", "--without-pip", folder / "venv"])
    python = folder / "venv" / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python]
    call([*pip, "install", "--quiet", "--no-compile", f"{wheel}[cpu]"])
    return python


def sizes_mb(site: Path) -> Counter[str]:
    """Size by top-level name in site-packages."""
    sizes: Counter[str] = Counter()
    for path in site.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            sizes[path.relative_to(site).parts[0]] += path.stat().st_size
    return Counter({name: size / 1e6 for name, size in sizes.items()})


def assert_works(python: Path, bundle: Path, folder: Path) -> None:
    """`run` and `profile` end well there, and no package of another extra came along."""
    probe = f"import importlib.util as u; print([n for n in {ABSENT!r} if u.find_spec(n)])"
    found = call([python, "-c", probe], folder).strip()
    if found != "[]":
        sys.exit(f"The minimal install holds packages of other extras: {found}.")
    edgekit = python.with_name("edgekit")
    call([edgekit, "run", bundle, "--input", "sample:0", "--json"], folder)
    call([edgekit, "profile", bundle, "--artifact", "onnx-fp32", "--time-limit", "200ms", "--json"], folder)


def main() -> None:
    with temporary_folder("edgekit-size-") as name:
        folder = Path(name)
        bundle = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else make_bundle(folder)
        python = install(folder)
        base = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
        site = Path(sysconfig.get_path("purelib", vars=base))
        sizes, names = sizes_mb(site), sorted(one.name.partition("-")[0] for one in site.glob("*.dist-info"))
        packages = len(names)
        assert_works(python, bundle, folder)
    for part, size in sizes.most_common(SHOWN):
        print(f"{part:24} {size:7.1f} MB")
    total = sizes.total()
    print(f"{'the other ' + str(len(sizes) - SHOWN):24} {total - sum(s for _, s in sizes.most_common(SHOWN)):7.1f} MB")
    print(f"{packages} packages, {total:.1f} MB; run and profile work without {', '.join(ABSENT)}")
    record("install.size", total, mb=dict(sizes))
    record("install.packages", packages, names=names)


if __name__ == "__main__":
    main()
