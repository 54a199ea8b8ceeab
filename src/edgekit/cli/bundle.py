"""`edgekit bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from edgekit.cli.options import Call, Command, common
from edgekit.cli.output import columns
from edgekit.cli.program import Commands
from edgekit.core.bundle import SUFFIX, Bundle, Manifest, pack
from edgekit.core.errors import UserError
from edgekit.core.files import refuse_existing
from edgekit.core.tuning import TUNING_ENTRY, read_tuning, tuning_file
from edgekit.core.units import format_value

if TYPE_CHECKING:
    from collections.abc import Iterator

# 1: first version.
BUNDLE_DOCUMENT_SCHEMA: Final = 1

bundle_argument = click.argument(
    "bundle", type=click.Path(path_type=Path), help="A bundle: a folder, or a file NAME.edgekit."
)


class InspectDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The manifest of a bundle whose every hash was right."""

    bundle: str
    manifest: Manifest
    command: str = "bundle inspect"
    schema_version: int = BUNDLE_DOCUMENT_SCHEMA


class VerifyDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many files of how many bytes had the right hash; there is no document for one that had not."""

    bundle: str
    files: int
    size_bytes: int
    command: str = "bundle verify"
    schema_version: int = BUNDLE_DOCUMENT_SCHEMA


class PackDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the packed bundle lies (with `--dry-run`: would lie)."""

    bundle: str
    out: str
    written: bool
    size_bytes: int | None = None
    command: str = "bundle pack"
    schema_version: int = BUNDLE_DOCUMENT_SCHEMA


@click.group("bundle", cls=Commands)
def command() -> None:
    """Look into, verify or pack a bundle.

    A bundle is a folder, or the same as one file NAME.edgekit. Every command checks the hash of every file in it.
    """


@command.command("inspect", cls=Command, examples=["edgekit bundle inspect digits-edgekit/bundle"])
@bundle_argument
@common()
def inspect(call: Call, bundle: Path) -> None:
    """Print what a bundle holds."""
    with Bundle.open(bundle) as opened:
        document = InspectDocument(bundle=str(bundle), manifest=opened.manifest)
    call.answer(document, lambda: "\n".join(_description(document.manifest)))


@command.command("verify", cls=Command, examples=["edgekit bundle verify digits.edgekit"])
@bundle_argument
@common()
def verify(call: Call, bundle: Path) -> None:
    """Check the hash of every file of a bundle."""
    with Bundle.open(bundle) as opened:
        records = opened.manifest.files.values()
    document = VerifyDocument(
        bundle=str(bundle), files=len(records), size_bytes=sum(record.size_bytes for record in records)
    )
    size = format_value(document.size_bytes, "bytes")
    call.answer(document, lambda: f"'{bundle}' is whole: {document.files} files, {size}, every hash is right.")


@command.command("pack", cls=Command, examples=["edgekit bundle pack digits-edgekit/bundle --out digits.edgekit"])
@bundle_argument
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="File to write.  [default: NAME.edgekit]")
@click.option("--with-tuning", is_flag=True, help="Add what 'edgekit tune' chose: the file is a new bundle.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@common(acts=True)
def pack_command(call: Call, bundle: Path, out: Path | None, with_tuning: bool, force: bool) -> None:
    """Write a bundle as one file; equal bundles give equal files."""
    more = _tuning(bundle) if with_tuning else {}
    with Bundle.open(bundle) as opened:
        target = out or Path(f"{opened.spec.name}{SUFFIX}")
        if call.dry_run:
            refuse_existing(target, force=force)
        else:
            pack(opened, target, force=force, more=more)
    size = None if call.dry_run else target.stat().st_size
    document = PackDocument(bundle=str(bundle), out=str(target), written=not call.dry_run, size_bytes=size)
    call.answer(document, lambda: _packed(document))


def _tuning(bundle: Path) -> dict[str, bytes]:
    """The tuning beside the bundle, as a file of a new one."""
    file = tuning_file(bundle)
    if read_tuning(file) is None:
        raise UserError(f"There is no tuning beside '{bundle}'.", hint=f"edgekit tune {bundle}")
    return {TUNING_ENTRY: file.read_bytes()}


def _packed(document: PackDocument) -> str:
    if not document.written:
        return f"write '{document.bundle}' as '{document.out}'"
    return f"{document.out}  {format_value(document.size_bytes, 'bytes')}"


def _description(manifest: Manifest) -> Iterator[str]:
    spec = manifest.spec
    yield columns(_facts(manifest))
    yield ""
    rows = [
        (one.recipe, format_value(one.size_bytes, "bytes"), f"opset {one.opset}" if one.opset else "", one.sha256[:12])
        for one in manifest.artifacts
    ]
    yield columns([("artifact", "size", "", "sha256"), *rows])
    for one in manifest.artifacts:
        for warning in one.warnings:
            yield f"Warning: {one.recipe}: {warning}"
    if spec.labels:
        yield ""
        yield f"labels: {', '.join(spec.labels)}"


def _facts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    spec = manifest.spec
    yield "model", " ".join(part for part in (spec.name, spec.summary and f"({spec.summary})") if part)
    yield "task", spec.task
    yield from (("input", str(tensor)) for tensor in spec.inputs)
    yield from (("output", str(tensor)) for tensor in spec.outputs)
    if spec.metric:
        yield "metric", spec.metric.name
    if spec.licence:
        yield "licence", spec.licence
    if manifest.split:
        yield "samples", f"{manifest.split.calibration} to calibrate, {manifest.split.evaluation} to evaluate"
    yield "made", manifest.created
    yield "with", ", ".join(f"{name} {version}" for name, version in sorted(manifest.tools.items())) or "unknown tools"
