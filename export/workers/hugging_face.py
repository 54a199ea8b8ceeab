"""Models of Hugging Face's transformers, from a folder or from its cache: class, inputs, labels. Runs in the worker.

Code from a repository of models never runs: `trust_remote_code` is not set anywhere.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from edgekit.core.errors import EnvironmentFault, UserError
from edgekit.core.refusals import refuse
from edgekit.core.spec.input_kinds import AudioInput
from edgekit.core.system.optional import need
from edgekit.export.messages import LibraryModel, Tokenize, Tokens
from edgekit.export.workers.arrays import save_arrays
from edgekit.export.workers.image_processors import image_of_processor

_ONE_CALL: Final = (
    "This network writes text, and is exported without a cache: one call scores every word of a whole text. "
    "docs/generation.md says what a decoder with a cache needs."
)
_CONFIG: Final = ("config.json",)
_TOKENIZERS: Final = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "spiece.model")
_WEIGHTS: Final = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
# Longer texts are rare in classifiers, and positions of some networks begin at 2: 514 positions take 512 tokens.
_MOST_TOKENS: Final = 512
# Of a network that writes text: 1 GB in float32.
_MOST_PARAMETERS: Final = 250_000_000


def hugging_face_model(name: str, *, may_download: bool) -> LibraryModel:
    """The model in the folder `name`, or called `name` on the hub of Hugging Face.

    Its class is the first of `architectures` in its configuration. A description without a factory says what must be
    downloaded first.

    Raises:
        UserError: No such folder or model, one without a class, or one whose class is not part of transformers.
        Refused: A language model of more than 1 GB in float32; before its weights are downloaded.
        EnvironmentFault: It cannot be downloaded.
    """
    is_here = _is_folder(name) or (_is_cached(name, _CONFIG) and _is_cached(name, _WEIGHTS))
    if not is_here and not may_download:
        _refuse_offline(name)
        return LibraryModel("", download=f"downloading the description of '{name}' from {_hub()}")
    config = _read("AutoConfig", name)
    made = _class_of(name, config)
    writes = _writes_text(made)
    if writes:
        _refuse_large(name, made, config)
    given = {**_keywords(config), **_from_cache(name)}
    keywords = "".join(f", {key}={value!r}" for key, value in given.items())
    factory = f"transformers:{made.__name__}.from_pretrained({name!r}{keywords})"
    download = "" if is_here else download_of(name)
    found = LibraryModel(factory, labels=_labels(config), download=download, warnings=(_ONE_CALL,) if writes else ())
    return _with_inputs(found, name, made, config)


def download_of(name: str) -> str:
    """What the library will download of the weights of `name`; empty if they are in its cache."""
    return "" if _is_cached(name, _WEIGHTS) else f"downloading the weights of '{name}' from {_hub()}"


def tokenize(job: Tokenize) -> Tokens:
    """Write the tokens of the texts, and return what was made."""
    tokenizer = _read("AutoTokenizer", job.name)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    columns = [list(column) for column in zip(*job.texts, strict=True)]
    length, padding = (job.length, "max_length") if job.length else (job.most, "longest")
    made = tokenizer(*columns, padding=padding, truncation=True, max_length=length)
    arrays = {key: np.array(made[key], np.int64) for key in job.inputs}
    save_arrays(Path(job.out), arrays)
    return Tokens(job.inputs, next(iter(arrays.values())).shape[1], len(tokenizer))


def _with_inputs(found: LibraryModel, name: str, made: Any, config: Any) -> LibraryModel:
    """The description with what the network takes, where the library says how it is made."""
    replace = partial(msgspec.structs.replace, found)
    if made.main_input_name == "pixel_values":
        image = image_of_processor(_optional("AutoImageProcessor", name))
        return replace(preprocessing=image, warnings=() if image else _unknown("images", name))
    if made.main_input_name == "input_values":
        audio = _audio(_optional("AutoFeatureExtractor", name))
        return replace(preprocessing=audio, warnings=() if audio else _unknown("sounds", name))
    return replace(tokens=_tokens(_optional("AutoTokenizer", name), name, made, config))


def _writes_text(made: Any) -> bool:
    return bool(made.main_input_name == "input_ids" and made.can_generate())


def _refuse_large(name: str, made: Any, config: Any) -> None:
    """Raise for a language model that other tools run; its parameters are counted without memory for them.

    Raises:
        Refused: It has more than 1 GB in float32.
    """
    try:
        with need("torch", extra="export").device("meta"):
            count = sum(one.numel() for one in made(config).parameters())
    except (ValueError, TypeError, RuntimeError, KeyError, AttributeError, ImportError):
        return  # the call that makes the network says what is wrong with its configuration
    if count > _MOST_PARAMETERS:
        raise refuse("language-model", f"'{name}', a language model with {count / 1e9:.2g} billion parameters,")


def _unknown(what: str, name: str) -> tuple[str, ...]:
    return (
        f"How transformers prepares {what} for '{name}' is not one of edgekit's ways: --samples are taken as they "
        "are, and --preprocess sets another way.",
    )


def _audio(extractor: Any) -> AudioInput | None:
    """Sound as it is, of any length (0); None for a spectrogram, or where each sound is normalized by its own mean."""
    found = vars(extractor) if extractor is not None else {}
    rate, is_plain = found.get("sampling_rate"), found.get("feature_size") == 1 and not found.get("do_normalize")
    return AudioInput(int(rate), 0) if rate and is_plain else None


def _tokens(tokenizer: Any, name: str, made: Any, config: Any) -> Tokens | None:
    # Without the files of one, transformers makes a tokenizer without words.
    if tokenizer is None or not _has(name, _TOKENIZERS):
        return None
    accepted = inspect.signature(made.forward).parameters
    inputs = tuple(name for name in tokenizer.model_input_names if name in accepted)
    positions = getattr(config, "max_position_embeddings", None) or _MOST_TOKENS
    # A tokenizer may know more words than the network has rows for.
    vocabulary = min(len(tokenizer), getattr(config, "vocab_size", None) or len(tokenizer))
    return Tokens(inputs, min(tokenizer.model_max_length, positions, _MOST_TOKENS), vocabulary)


def _labels(config: Any) -> tuple[str, ...]:
    """Names of the classes; none where the configuration has the names that transformers fills in."""
    names = tuple(str(config.id2label[index]) for index in sorted(getattr(config, "id2label", None) or {}))
    return () if names == tuple(f"LABEL_{index}" for index in range(len(names))) else names


def _keywords(config: Any) -> Mapping[str, object]:
    """Arguments that make the network one of float32 that returns no cache of a text it writes."""
    given: dict[str, object] = {}
    if str(getattr(config, "dtype", None)).rpartition(".")[2] in ("float16", "bfloat16"):
        given["dtype"] = "float32"
    return {**given, "use_cache": False} if getattr(config, "use_cache", False) else given


def _class_of(name: str, config: Any) -> Any:
    wanted = next(iter(getattr(config, "architectures", None) or ()), "")
    made = getattr(_library("transformers"), wanted, None) if wanted else None
    if made is None:
        own = f"its class '{wanted}' is not part of transformers" if wanted else "its configuration names no class"
        raise UserError(
            f"'{name}' cannot be built by name: {own}. Code from a repository of models is not executed.",
            hint="Return the network from a function of your own file: edgekit build net.py:make",
        )
    return made


def _is_folder(name: str) -> bool:
    if Path(name).is_dir():
        if not (Path(name) / "config.json").is_file():
            raise UserError(f"The folder '{name}' has no config.json.", hint="model.save_pretrained(FOLDER)")
        return True
    if not name or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise UserError(f"There is no folder '{name}'.", hint="edgekit build hf:PATH, or hf:OWNER/NAME of the hub")
    return False


def _has(name: str, files: tuple[str, ...]) -> bool:
    folder = Path(name)
    return any((folder / file).is_file() for file in files) if folder.is_dir() else _is_cached(name, files)


def _from_cache(name: str) -> Mapping[str, object]:
    """The argument that keeps a library off the network, for what is in its cache: it would get newer files unsaid."""
    is_cached = not Path(name).is_dir() and _is_cached(name, _CONFIG) and _is_cached(name, _WEIGHTS)
    return {"local_files_only": True} if is_cached else {}


def _is_cached(name: str, files: tuple[str, ...]) -> bool:
    look_up = _library("huggingface_hub").try_to_load_from_cache
    return any(isinstance(look_up(name, file), str) for file in files)


def _refuse_offline(name: str) -> None:
    if _library("huggingface_hub.constants").HF_HUB_OFFLINE:
        raise EnvironmentFault(
            f"'{name}' is neither a folder nor in the cache of Hugging Face, and HF_HUB_OFFLINE forbids its download.",
            hint=f"HF_HUB_OFFLINE=0 hf download {name}",
        )


def _read(kind: str, name: str) -> Any:
    """The part `kind` of a model, such as its tokenizer."""
    try:
        return getattr(_library("transformers"), kind).from_pretrained(name, **_from_cache(name))
    except (OSError, ValueError, KeyError) as err:
        first = next(iter(str(err).strip().splitlines()), type(err).__name__)
        if Path(name).is_dir():
            raise UserError(
                f"transformers cannot read '{name}': {first}", hint="model.save_pretrained(FOLDER)"
            ) from err
        raise EnvironmentFault(f"transformers cannot get '{name}': {first}", hint=f"hf download {name}") from err


def _optional(kind: str, name: str) -> Any:
    """As `_read`; None for a model that has no such part."""
    try:
        return _read(kind, name)
    except (UserError, EnvironmentFault, ImportError, AttributeError, TypeError):
        return None


def _hub() -> str:
    return str(_library("huggingface_hub.constants").ENDPOINT)


def _library(module: str) -> Any:
    """A module of a library that belongs to the user: edgekit does not install it."""
    return importlib.import_module(module)
