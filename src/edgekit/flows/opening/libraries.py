"""Models that a library knows by name, and samples as the library prepares them."""

from __future__ import annotations

import dataclasses
from typing import Final

import msgspec

from edgekit.core.errors import EnvironmentFault, UserError
from edgekit.core.samples import TARGET, Array
from edgekit.core.spec.input_kinds import AudioInput, Preprocessing
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.progress import Progress
from edgekit.core.system.settings import Settings
from edgekit.export.factory_call import HUGGING_FACE, FactoryCall, parse_factory
from edgekit.export.messages import LibraryModel, Tokens
from edgekit.export.workers.describe import describe_library_model, tokens_of
from edgekit.flows.opening.factories import in_library
from edgekit.flows.reading.held import Held, label_name

# Tokens of a sample, and seconds of a sound, where no samples say how long one is.
_TOKENS: Final = 128
_SECONDS: Final = 1


@dataclasses.dataclass(frozen=True)
class NamedModel:
    """The call that makes a network, and what its library says of it; `name` is what the user called it there."""

    call: FactoryCall
    known: LibraryModel
    name: str = ""


def named_model(call: FactoryCall, settings: Settings, progress: Progress) -> NamedModel:
    """The call that a short form means, with the preprocessing, labels and licence of the library.

    A library that must first download the description of a model does so after the progress has shown it.

    Raises:
        UserError: The library has no such model.
        EnvironmentFault: It must be downloaded, which `--offline` forbids, or it cannot be.
    """
    if not in_library(call):
        return NamedModel(call, LibraryModel(str(call)))
    name = call.function or str(call.arguments[0])
    known = describe_library_model(call.place, name, timeout_s=settings.timeout_s)
    if not known.factory:
        _refuse_offline(known.download, name, call, settings)
        with progress.stage(known.download):
            known = describe_library_model(call.place, name, timeout_s=settings.timeout_s, may_download=True)
    _refuse_offline(known.download, name, call, settings)
    return NamedModel(parse_factory(known.factory), known, name)


def _refuse_offline(download: str, name: str, call: FactoryCall, settings: Settings) -> None:
    if download and settings.offline:
        hint = f"hf download {name}" if call.place == HUGGING_FACE else "Omit --offline."
        raise EnvironmentFault(f"'{call}' needs {download}, which --offline forbids.", hint=hint)


def with_tokens(
    held: Held | None, model: NamedModel, inputs: tuple[TensorSpec, ...], settings: Settings
) -> Held | None:
    """Samples whose texts are replaced by what the tokenizer of the model makes of them; others as they are.

    Args:
        inputs: Those that the user named; a size sets the number of tokens.
    """
    tokens = model.known.tokens
    texts = {} if held is None or tokens is None else _texts(held)
    if held is None or tokens is None or not texts:
        return held
    if len(texts) > 2:
        raise UserError(
            f"Samples '{held.path}' contain {len(texts)} columns of text: {', '.join(texts)}.",
            hint="Keep the one that the network reads, called 'text', or two: 'text' and 'text_pair'.",
        )
    rows = list(zip(*(array.tolist() for array in texts.values()), strict=True))
    length = next((tensor.shape[1] for tensor in inputs if len(tensor.shape) == 2), 0)
    fixed = length if isinstance(length, int) else 0
    made = tokens_of(model.name, rows, tokens, timeout_s=settings.timeout_s, length=fixed)
    others = {name: array for name, array in held.arrays.items() if name not in texts}
    return dataclasses.replace(held, arrays={**others, **made})


def _texts(held: Held) -> dict[str, Array]:
    """The arrays of texts that are not labels."""
    label = label_name(held)
    return {
        name: array
        for name, array in held.arrays.items()
        if array.dtype.kind == "U" and name != label and not name.startswith(TARGET)
    }


def token_inputs(tokens: Tokens | None, held: Held | None) -> tuple[TensorSpec, ...]:
    """The inputs that a tokenizer makes, as long as the samples are; none without a tokenizer."""
    if tokens is None:
        return ()
    given = held.arrays if held is not None else {}
    if held is not None and not set(tokens.inputs) <= set(given):
        return ()
    lengths = {given[name].shape[1] for name in tokens.inputs if name in given and given[name].ndim == 2}
    length = lengths.pop() if lengths else min(_TOKENS, tokens.length)
    return tuple(_token_input(name, length, tokens.vocabulary) for name in tokens.inputs)


def _token_input(name: str, length: int, vocabulary: int) -> TensorSpec:
    high = vocabulary - 1 if name == "input_ids" else 1 if "mask" in name else 0
    return TensorSpec(name, "int64", ("N", length), low=0, high=high)


def settled(how: Preprocessing | None, held: Held | None) -> Preprocessing | None:
    """The preprocessing of a library, with the length of the samples for sounds of any length."""
    if not isinstance(how, AudioInput) or how.length:
        return how
    if held is not None and isinstance(held.preprocessing, AudioInput):
        return held.preprocessing
    arrays = [array for array in held.arrays.values() if array.ndim == 2] if held is not None else []
    return msgspec.structs.replace(how, length=arrays[0].shape[1] if arrays else how.rate * _SECONDS)
