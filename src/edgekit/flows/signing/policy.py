"""The user's policy on signatures: whether a bundle must have one, and who may sign."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from edgekit.core.bundle import Bundle
from edgekit.core.errors import UserError
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.settings import USER_FILE, user_settings
from edgekit.flows.signing.bundle_signatures import is_signed, verify_bundle
from edgekit.flows.signing.ssh_signatures import Signer, only

ALLOWED_SIGNERS: Final = "allowed_signers"


@dataclass(frozen=True)
class Policy:
    """Whether only signed bundles are used, and the file that names who may sign them."""

    is_required: bool
    allowed: Path

    def check(self, bundle: Bundle) -> Signer | None:
        """Who signed an open bundle, or None if no signature is required.

        Raises:
            UserError: A signature is required, and there is none, or not by an allowed signer.
            BundleUnreadable: The signature belongs to other content.
        """
        if not self.is_required:
            return None
        if not is_signed(bundle):
            raise UserError(
                f"'{bundle.path}' is not signed, and your settings require a signature.",
                hint=f"edgekit bundle sign {bundle.path} --key KEY",
            )
        return verify_bundle(bundle, self.signers())

    def check_file(self, path: Path) -> None:
        """Raise for a model file outside of a bundle if a signature is required.

        Raises:
            UserError: It is required.
        """
        if self.is_required:
            raise UserError(
                f"'{path}' is a model file, which has no signature, and your settings require one.",
                hint=f"edgekit export {path} --out BUNDLE, then edgekit bundle sign BUNDLE --key KEY",
            )

    def signers(self) -> Path:
        """The file of allowed signers.

        Raises:
            UserError: There is none.
        """
        if not self.allowed.is_file():
            raise UserError(
                f"No one may sign: there is no file '{self.allowed}'.",
                hint=f'echo "NAME $(cat KEY.pub)" >> {self.allowed}',
            )
        return self.allowed


def verified(bundle: Bundle, *, key: Path | None = None, allowed: Path | None = None) -> Signer | None:
    """Who signed an open bundle: the owner of the public key `key`, one in the file `allowed`, or as the policy says.

    Raises:
        BundleUnreadable: It is not signed, or was changed since.
        UserError: Someone else signed it.
    """
    if key is None:
        return verify_bundle(bundle, Policy(True, allowed).signers()) if allowed else user_policy().check(bundle)
    with temporary_folder() as folder:
        return verify_bundle(bundle, only(key, Path(folder)), by=key)


def user_policy() -> Policy:
    """The policy in the user's own settings and environment; a project has no say in it.

    Raises:
        UserError: As in `user_settings`.
    """
    folder = platformdirs.user_config_path("edgekit")
    settings = user_settings(folder / USER_FILE)
    allowed = Path(settings.allowed_signers) if settings.allowed_signers else folder / ALLOWED_SIGNERS
    return Policy(settings.require_signature, allowed)
