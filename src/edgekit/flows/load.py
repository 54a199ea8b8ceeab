"""`edgekit.load`: a Session from a bundle or a bare model file, in one call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.target import Target
from edgekit.flows.opening.artifacts import open_session, opened, opens
from edgekit.flows.opening.states import before_a_stream
from edgekit.flows.opening.tuned import facts_here, tuned
from edgekit.flows.opening.values import with_values
from edgekit.runtime.backend import KeepsState, Session, stored_codes
from edgekit.runtime.postprocessing import write_text, writes_text
from edgekit.runtime.prediction import Prediction, feed_of, size_of
from edgekit.runtime.preprocessing import integers_as_reals
from edgekit.runtime.sequences.generation import Generated, generate
from edgekit.runtime.sequences.stream import Stream

_LOG: Final = logging.getLogger(__name__)


def load(path: str | Path, *, backend: str = "", artifact: str = "", **options: str | int) -> PredictingSession:
    """A Session for one artifact; close it, or use it in a `with` block.

    `session.run(feed)` takes and returns tensors. `session.predict(value)` takes an image, a path, an array or a
    sentence, prepares it as the spec of the bundle says, and returns a Prediction with labels, text, curve or image.

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
        return PredictingSession(open_session(found, choice.artifact, choice.target), found.spec)


class PredictingSession:
    """A loaded artifact with the spec of its model: `run` takes and returns tensors, `predict` what a person has.

    Everything else is that of the backend's own session, whose `run` and `bind` these are: they cost nothing more.
    """

    def __init__(self, session: Session, spec: ModelSpec) -> None:
        self.backend, self.provider = session.backend, session.provider
        self.inputs, self.outputs = session.inputs, session.outputs
        self.spec = spec
        self.run: Callable[[Mapping[str, object]], Feed] = session.run
        self.bind: Callable[[Mapping[str, object]], Callable[[], Feed]] = session.bind
        self.keeps_state = isinstance(session, KeepsState) and session.keeps_state
        # A stream at its beginning, whose `feed` takes the chunks; and the continuation of a prompt.
        self.stream: Callable[[], Stream] = partial(Stream, session.run, spec)
        self.generate: Callable[..., Generated] = partial(generate, session.run, spec)
        self._session = session
        self._codes = stored_codes(session)
        self._writes = writes_text(spec)

    def predict(self, value: object) -> Prediction:
        """The prediction for one sample, which is read and prepared as the spec of the model says.

        States of a streaming model that are not given begin with zeros; `run` continues them.

        Args:
            value: A path, a Pillow image, an array, a sentence, or a mapping of arrays, as in `feed_of`.

        Raises:
            UserError: The value does not fit the model, or as in `Session.run`.
        """
        feed = feed_of(value, self._asked(value) if self.spec.states else self.spec)
        if self.spec.states:
            before = before_a_stream(self.spec)
            feed = with_values(feed, self.spec, {name: before[name] for name in before if name not in feed})
        if any(array.dtype.kind in "iu" for array in feed.values()):
            feed = integers_as_reals(feed, self.inputs, self._codes)
        outputs = write_text(self.run, feed, self.spec) if self._writes else self.run(feed)
        return Prediction(outputs, self.spec, size_of(value, self.spec))

    def give_back(self) -> None:
        """Leave a session that keeps a state to the next thread that runs it."""
        if isinstance(self._session, KeepsState):
            self._session.give_back()

    def close(self) -> None:
        """Free the model's memory; closing twice is harmless."""
        self._session.close()

    def _asked(self, value: object) -> ModelSpec:
        """The spec of what `value` has to contain: without the states that it lacks."""
        given = value if isinstance(value, Mapping) else {}
        states = [name for name in self.spec.states.values() if name not in given]
        kept = tuple(one for one in self.spec.inputs if one.name not in states)
        return msgspec.structs.replace(self.spec, inputs=kept)

    def __getattr__(self, name: str) -> Any:
        # Whatever else the backend's session has: `placement`, `sizes`, `family`.
        return getattr(self.__dict__["_session"], name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
