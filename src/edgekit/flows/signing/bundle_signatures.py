"""Signatures of bundles: of the manifest, which contains the checksum of every other file."""

from __future__ import annotations

import filecmp
from pathlib import Path

from edgekit.core.bundle import MANIFEST, SIGNATURE, Bundle, pack
from edgekit.core.errors import BundleUnreadable
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.files import write_atomic
from edgekit.flows.signing.ssh_signatures import BUNDLES, Signer, sign, verify


def sign_bundle(path: Path, key: Path) -> None:
    """Add a signature to the bundle at `path`, a folder or a packed file; it replaces an earlier one.

    Raises:
        BundleUnreadable: It is not a bundle, or is damaged.
        UserError, EnvironmentFault: As in `sign`.
    """
    with Bundle.open(path) as bundle:
        _refuse_unnamed(bundle)
        write_atomic(bundle.root / SIGNATURE, sign(bundle.root / MANIFEST, key, BUNDLES))
        if path.is_file():
            pack(bundle, path, force=True)


def verify_bundle(bundle: Bundle, allowed: Path, by: Path | None = None) -> Signer:
    """Who of the signers in the file `allowed` signed an open bundle, all of whose bytes are as they were signed.

    `by` is the file that the user named, if that is not `allowed`.

    Raises:
        BundleUnreadable: It is not signed, or was changed since.
        UserError: The signer is not allowed.
    """
    if not is_signed(bundle):
        raise BundleUnreadable(f"Bundle '{bundle.path}' is not signed.", hint="edgekit bundle sign BUNDLE --key KEY")
    manifest, signature, what = bundle.root / MANIFEST, bundle.root / SIGNATURE, f"bundle '{bundle.path}'"
    signer = verify(manifest, signature, allowed, BUNDLES, what=what, by=by or allowed)
    _refuse_unnamed(bundle)
    if bundle.path.is_file():
        _refuse_repacked(bundle)
    return signer


def is_signed(bundle: Bundle) -> bool:
    """Whether an open bundle has a signature, of whomever."""
    file = bundle.root / SIGNATURE
    return file.is_file() and not file.is_symlink()


def _refuse_unnamed(bundle: Bundle) -> None:
    """Raise for a file in the bundle that the signed manifest does not list."""
    named = {*bundle.manifest.files, MANIFEST, SIGNATURE}
    for path in sorted(bundle.root.rglob("*")):
        name = path.relative_to(bundle.root).as_posix()
        if path.is_symlink() or (path.is_file() and name not in named):
            raise BundleUnreadable(f"Bundle '{bundle.path}' contains '{name}', which its manifest does not list.")


def _refuse_repacked(bundle: Bundle) -> None:
    """Raise unless the packed file is, byte for byte, what `pack` writes: a zip has more bytes than its files have."""
    with temporary_folder() as folder:
        again = pack(bundle, Path(folder) / "again")
        if not filecmp.cmp(bundle.path, again, shallow=False):
            raise BundleUnreadable(
                f"Bundle '{bundle.path}' was modified: its files are as signed, and the zip around them is not.",
                hint="edgekit bundle pack BUNDLE",
            )
