"""`edgekit.load`: a Session from a bundle or a bare model file, in one call."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from edgekit.core.errors import UserError
from edgekit.core.target import Target
from edgekit.flows.opening.artifacts import open_session, opened, opens
from edgekit.flows.opening.tuned import facts_here, tuned
from edgekit.runtime.backend import Session

_LOG: Final = logging.getLogger(__name__)


def load(path: str | Path, *, backend: str = "", artifact: str = "", **options: str | int) -> Session:
    """A Session for one artifact; close it, or use it in a `with` block.

    Threads may share the session: `run` gives each its own outputs, at once with ONNX Runtime, in turns with LiteRT and
    OpenVINO. A call that `bind` returned, and a session with `state="keep"`, belong to the first thread that uses them
    where sharing them would give wrong outputs: another thread gets a UserError.

    Args:
        path: A bundle, `.onnx` or `.tflite`.
        backend: Name of a backend; if empty, the default of the format.
        artifact: Recipe name or alias; if empty, the first that the backend opens.
        options: Target options such as `threads=2` or `provider="cuda"`. Without a backend and options, the
            choice of `edgekit tune` for this kind of machine is used.

    Raises:
        UserError: Unknown backend, artifact or option.
        ProviderRefused: The requested provider does not run the model.
        Unreadable: The file is damaged or not a model.
    """
    pairs = "".join(f"@{name}={value}" for name, value in options.items())
    target = Target.parse(f"local{f'/{backend}' if backend else ''}{pairs}")
    with opened(Path(path), with_samples=False) as found:
        fitting = [one for one in found.chosen((artifact,) if artifact else ()) if opens(target, one)]
        if not fitting:
            raise UserError(
                f"Backend '{backend}' cannot open such an artifact of '{path}'.", hint=f"edgekit inspect {path}"
            )
        choice = tuned(found, fitting, target, facts_here)
        if choice.note:
            _LOG.warning(choice.note)
        return open_session(found, choice.artifact, choice.target)
