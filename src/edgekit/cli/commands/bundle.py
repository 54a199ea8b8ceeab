"""`edgekit bundle`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from edgekit.cli.common import Call, Command, common
from edgekit.cli.contents import described, graph_lines, title
from edgekit.cli.output import columns
from edgekit.cli.program import Commands
from edgekit.core.bundle import SUFFIX, TUNING, Bundle, pack, tuning_file
from edgekit.core.errors import UserError
from edgekit.core.reports.bundle import (
    BundleDiffReport,
    InspectReport,
    PackReport,
    SbomReport,
    SignReport,
    VerifyReport,
)
from edgekit.core.reports.graph import GraphFacts
from edgekit.core.system.files import refuse_existing
from edgekit.core.units import format_value

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN: Final = 5

bundle_argument = click.argument(
    "bundle", type=click.Path(path_type=Path), help="A bundle: a folder, or a file NAME.edgekit."
)


@click.group("bundle", cls=Commands)
def command() -> None:
    """Inspect, compare, sign, verify or pack a bundle.

    A bundle is a folder or one packed file NAME.edgekit. Every command verifies the checksums of all its files.
    """


@command.command("inspect", cls=Command, examples=["edgekit bundle inspect digits-edgekit/bundle"])
@bundle_argument
@common()
def inspect(call: Call, bundle: Path) -> None:
    """Print the contents of a bundle and the operators of its graphs."""
    from edgekit.flows.bundle import graph_facts

    with Bundle.open(bundle) as opened:
        graphs = tuple(graph_facts(opened, artifact) for artifact in opened.artifacts)
        document = InspectReport(bundle=str(bundle), manifest=opened.manifest, graphs=graphs)
    call.answer(document, lambda shown: "\n".join([*described(shown.manifest), *graph_lines(shown.graphs)]))


@command.command("diff", cls=Command, examples=["edgekit bundle diff digits-bundle onnx-fp32 onnx-int8"])
@bundle_argument
@click.argument("a", help="One artifact.")
@click.argument("b", help="The other.")
@common()
def diff_command(call: Call, bundle: Path, a: str, b: str) -> None:
    """Print how two artifacts differ: operators, size, weights."""
    from edgekit.flows.bundle import diff

    found = diff(bundle, a, b)
    call.answer(found, lambda shown: "\n".join(_difference(shown)))


@command.command("sign", cls=Command, examples=["edgekit bundle sign digits.edgekit --key ~/.ssh/id_ed25519"])
@bundle_argument
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="A private key of OpenSSH, or the public key of one that ssh-agent holds.",
)
@common(acts=True)
def sign(call: Call, bundle: Path, key: Path) -> None:
    """Sign a bundle: the public key shows that it is yours and unchanged.

    The signature becomes part of the folder or of the file, and replaces an earlier one. Signing needs 'ssh-keygen'.
    """
    from edgekit.flows.signing.bundle_signatures import sign_bundle

    if call.dry_run:
        Bundle.open(bundle).close()
    else:
        sign_bundle(bundle, key)
    document = SignReport(bundle=str(bundle), key=str(key), written=not call.dry_run)
    call.answer(document, _signed)


@command.command(
    "verify",
    cls=Command,
    examples=["edgekit bundle verify digits.edgekit", "edgekit bundle verify digits.edgekit --key anna.pub"],
)
@bundle_argument
@click.option("--key", type=click.Path(path_type=Path), metavar="FILE", help="The public key that must have signed it.")
@click.option(
    "--allowed-signers",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="One of these must have signed it, in the format of ssh-keygen(1).",
)
@common()
def verify(call: Call, bundle: Path, key: Path | None, allowed_signers: Path | None) -> None:
    """Verify the checksum of every file of a bundle, and its signature.

    The signature is verified with --key or --allowed-signers, or if your settings require one.
    """
    from edgekit.flows.signing.bundle_signatures import is_signed
    from edgekit.flows.signing.policy import verified

    if key and allowed_signers:
        raise click.UsageError("Give --key or --allowed-signers, not both.")
    with Bundle.open(bundle) as opened:
        signer = verified(opened, key=key, allowed=allowed_signers)
        has_signature = is_signed(opened)
        records = opened.manifest.files.values()
    document = VerifyReport(
        bundle=str(bundle),
        files=len(records),
        size_bytes=sum(record.size_bytes for record in records),
        signed_by=signer.name if signer else "",
        key=signer.key if signer else "",
        has_signature=has_signature,
    )
    call.answer(document, _verified)


@command.command(
    "pack",
    cls=Command,
    examples=[
        "edgekit bundle pack digits-edgekit/bundle --out digits.edgekit",
        "edgekit bundle pack digits-bundle --artifact onnx-int8 --out int8.edgekit",
    ],
)
@bundle_argument
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="File to write.  [default: NAME.edgekit]")
@click.option("--with-tuning", is_flag=True, help="Include the choice of 'edgekit tune'; this makes a new bundle.")
@click.option(
    "--artifact", default="", metavar="RECIPE", help="Only this artifact, without the weights; this makes a new bundle."
)
@click.option("--force", is_flag=True, help="Replace FILE if edgekit wrote it.")
@common(acts=True)
def pack_command(call: Call, bundle: Path, out: Path | None, with_tuning: bool, artifact: str, force: bool) -> None:
    """Write a bundle as one file; equal bundles give identical files."""
    more = _tuning(bundle) if with_tuning else {}
    with Bundle.open(bundle) as opened:
        target = out or _named(opened.spec.name, SUFFIX)
        only = opened.artifact(artifact) if artifact else None
        if call.dry_run:
            refuse_existing(target, force=force)
        else:
            pack(opened, target, force=force, more=more, only=only)
    size = None if call.dry_run else target.stat().st_size
    document = PackReport(bundle=str(bundle), out=str(target), written=not call.dry_run, size_bytes=size)
    call.answer(document, _packed)


def _signed(document: SignReport) -> str:
    return f"'{document.bundle}' is signed." if document.written else f"sign '{document.bundle}' with '{document.key}'"


@command.command("sbom", cls=Command, examples=["edgekit bundle sbom digits.edgekit --out digits.cdx.json"])
@bundle_argument
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="File to write.  [default: NAME.cdx.json]")
@click.option("--force", is_flag=True, help="Replace FILE if edgekit wrote it.")
@common(acts=True)
def sbom_command(call: Call, bundle: Path, out: Path | None, force: bool) -> None:
    """Write the bill of materials of a bundle, in CycloneDX 1.6.

    It lists the model with its card, every file with its checksum, the data, and the tools that made them.
    """
    from edgekit.core.system import documents
    from edgekit.flows.writing.sbom import sbom

    with Bundle.open(bundle) as opened:
        made, target = sbom(opened.manifest), out or _named(opened.spec.name, ".cdx.json")
    refuse_existing(target, force=force)
    if not call.dry_run:
        documents.write(target, made)
    count = len(made["components"])
    document = SbomReport(bundle=str(bundle), out=str(target), components=count, written=not call.dry_run)
    call.answer(document, _listed)


def _listed(document: SbomReport) -> str:
    if not document.written:
        return f"write the parts of '{document.bundle}' to '{document.out}'"
    return f"{document.out}  {document.components} components"


def _verified(document: VerifyReport) -> str:
    size = format_value(document.size_bytes, "bytes")
    intact = f"'{document.bundle}' is intact: {document.files} files, {size}, all checksums match."
    if document.signed_by:
        return f"{intact}\nIt is signed by '{document.signed_by}' with key {document.key}."
    if document.has_signature:
        return f"{intact}\nIts signature is not verified: add --key or --allowed-signers."
    return intact


def _named(model: str, suffix: str) -> Path:
    """A file in the current folder: the name of a model from elsewhere must not lead out of it."""
    plain = re.sub(r"[^\w. -]+", "-", model).lstrip(".")
    return Path(f"{plain or 'model'}{suffix}")


def _tuning(bundle: Path) -> dict[str, bytes]:
    """The tuning next to the bundle, as a file of a new one."""
    from edgekit.core.reports.tuning import read_tuning

    file = tuning_file(bundle)
    if read_tuning(file) is None:
        raise UserError(f"There is no tuning next to '{bundle}'.", hint=f"edgekit tune {bundle}")
    return {TUNING: file.read_bytes()}


def _packed(document: PackReport) -> str:
    if not document.written:
        return f"write '{document.bundle}' as '{document.out}'"
    return f"{document.out}  {format_value(document.size_bytes, 'bytes')}"


def _difference(found: BundleDiffReport) -> Iterator[str]:
    sizes = [format_value(size, "bytes") for size in (found.size_a_bytes, found.size_b_bytes)]
    rows = [("", found.a.artifact, found.b.artifact), ("size", *sizes)]
    for name, key in (("parameters", "parameters"), ("MACs", "macs")):
        rows.append(
            (name, *("unknown" if (value := getattr(one, key)) is None else f"{value:,}" for one in _two(found)))
        )
    for name in dict.fromkeys([*found.a.operators, *found.b.operators]):
        counts = [one.operators.get(name, 0) for one in _two(found)]
        if counts[0] != counts[1]:
            rows.append((name, *map(str, counts)))
    yield columns(rows)
    yield ""
    yield f"Weights with the same name: {found.equal_weights} equal, {len(found.weights)} differ."
    changed = [("", title(one.name), f"{100 * one.change:.2g} %") for one in found.weights[:_SHOWN]]
    if changed:
        yield columns(changed)
    for side, names in ((found.a.artifact, found.only_a), (found.b.artifact, found.only_b)):
        if names:
            yield f"Only {side} has {len(names)} weights: {', '.join(title(one) for one in names[:3])}"


def _two(found: BundleDiffReport) -> tuple[GraphFacts, GraphFacts]:
    return found.a, found.b
