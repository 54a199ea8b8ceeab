"""The messages between parent and worker: one JSON document per line."""

from __future__ import annotations

import msgspec

from edgekit.core.bundle import Signature
from edgekit.core.spec.input_kinds import AudioInput, ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.graphs.trace import Graph
from edgekit.export.raw_inputs import RawInput
from edgekit.runtime.backends.quantized import Stored


class ModuleRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A torch module that a worker can build.

    `location` is `path/to/net.py:factory` or `package.module:function`; the factory takes no arguments. `weights` is a
    safetensors file, or a checkpoint as in `stored_tensors.read_tensors`; empty for the weights that the factory itself
    sets. With `raw` the module takes raw values: its preprocessing becomes part of it.
    """

    location: str
    weights: str = ""
    raw: RawInput | None = None


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Import what this toolchain needs and build the module, so that later jobs start at once."""

    module: ModuleRef
    exporter: str = ""
    seed: int = 0


class RunModule(msgspec.Struct, frozen=True, tag="run"):
    """Run the module on every feed of the .npz `feeds` (`INDEX:INPUT`) and write `INDEX:OUTPUT` to `outputs`.

    The tensors of the module are written to `state`, for other workers; and its weights to `weights`, if the factory
    sets other ones each time.

    For the feeds `noisy`, in this order, the file `noise` gets how far the outputs are from themselves when computed
    another way; the inputs `fixed` are masks and the like, which are not moved for it.
    """

    module: ModuleRef
    spec: ModelSpec
    feeds: str
    outputs: str
    seed: int = 0
    state: str = ""
    weights: str = ""
    noise: str = ""
    noisy: tuple[int, ...] = ()
    fixed: tuple[str, ...] = ()


class Export(msgspec.Struct, frozen=True, tag="export"):
    """Convert the module to the float file `out` with the exporter at `exporter`; `feed` holds one real feed.

    The module gets the tensors in the file `state`, if there is one: its factory may set random weights. `opset` is
    given to exporters of formats that have opsets; 0 means their default. `is_complex` says that running the module
    showed complex numbers.
    """

    module: ModuleRef
    spec: ModelSpec
    exporter: str
    feed: str
    out: str
    seed: int = 0
    state: str = ""
    opset: int = 0
    is_complex: bool = False


class Quantize(msgspec.Struct, frozen=True, tag="quantize"):
    """Make `out` by `recipe` from the float file `source`; `calibration` is an .npz of samples, or empty.

    `feed` contains one real feed, on which the file must not crash its backend. The operators that make the tensors in
    `keep_float` are not quantized; those of `wide` have activations in 16 bits. `method` is one of CALIBRATION_METHODS.
    """

    spec: ModelSpec
    quantizer: str
    source: str
    recipe: str
    calibration: str
    feed: str
    out: str
    keep_float: tuple[str, ...] = ()
    method: str = "min-max"
    wide: tuple[str, ...] = ()


class Steps(msgspec.Struct, frozen=True, tag="steps"):
    """Run the module on every feed of the .npz `feeds` and write every tensor it computes to `values`, by feed."""

    module: ModuleRef
    spec: ModelSpec
    feeds: str
    values: str
    seed: int = 0


class Describe(msgspec.Struct, frozen=True, tag="describe"):
    """Read the inputs and outputs of the file at `location`."""

    location: str


class DescribeLibraryModel(msgspec.Struct, frozen=True, tag="library"):
    """Look up the model called `name` of a library, with its preprocessing and labels.

    Only with `may_download`, the library gets the description of the model from the network.
    """

    library: str
    name: str
    may_download: bool = False


class Tokenize(msgspec.Struct, frozen=True, tag="tokenize"):
    """Write the tokens of `texts` (one text a sample, or two) to the .npz `out`, by the tokenizer of the model `name`.

    Samples have `length` tokens, or as many as the longest, up to `most`, if it is 0.
    """

    name: str
    texts: tuple[tuple[str, ...], ...]
    inputs: tuple[str, ...]
    out: str
    length: int = 0
    most: int = 0


class Parameters(msgspec.Struct, frozen=True, tag="parameters"):
    """Name the parameters of the module's `forward`."""

    module: ModuleRef
    seed: int = 0


Question = Describe | DescribeLibraryModel | Parameters | Tokenize | Load | RunModule | Export | Quantize | Steps


class Traced(msgspec.Struct, frozen=True):
    """What running the module showed: outputs, operators, and the digests of its weights and of the code around it.

    `failures` are the feeds on which the module itself failed, with the reason. `is_random`: a second call of the
    factory gave other weights. `is_untrained`: another seed did. `notes` say where the weights were found.
    """

    outputs: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    weights: str = ""
    sources: str = ""
    failures: dict[int, str] = {}
    is_random: bool = False
    is_untrained: bool = False
    notes: tuple[str, ...] = ()


class Described(msgspec.Struct, frozen=True):
    """What a source file says about itself; `sizes` lists the sizes of dynamic axes that allow only some.

    `codes` say how quantized inputs are stored.
    """

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    is_quantized: bool = False
    sizes: dict[str, tuple[int, ...]] = {}
    codes: dict[str, Stored] = {}


class Tokens(msgspec.Struct, frozen=True):
    """What the tokenizer of a model makes: these inputs, of at most `length` tokens below `vocabulary`."""

    inputs: tuple[str, ...]
    length: int
    vocabulary: int


class LibraryModel(msgspec.Struct, frozen=True):
    """A model that a library knows by name: the call that makes it with weights, and how it was trained.

    `factory` is empty if the library must first download the description of the model. `preprocessing` is null where
    edgekit cannot do it, as `warnings` say. `download` says what the call will download; empty if it is in the cache of
    the library.
    """

    factory: str
    preprocessing: ImageInput | AudioInput | None = None
    labels: tuple[str, ...] = ()
    licence: str = ""
    download: str = ""
    tokens: Tokens | None = None
    warnings: tuple[str, ...] = ()


class Converted(msgspec.Struct, frozen=True):
    """What an exporter made: the options it used, and the tensors read back from the file, in the spec's order."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    opset: int | None = None
    layout: str = ""
    signatures: tuple[Signature, ...] = ()
    options: dict[str, str | int | float | bool] = {}
    warnings: tuple[str, ...] = ()


class Stepped(msgspec.Struct, frozen=True):
    """What the module computes, and the digest of its weights."""

    graph: Graph
    weights: str


class WorkerFailure(msgspec.Struct, frozen=True):
    """An error by the name of its class in edgekit, or one of foreign code: `error` is empty, `trace` has the stack."""

    message: str
    error: str = ""
    hint: str = ""
    trace: str = ""
    code: str = ""


class Reply(msgspec.Struct, frozen=True):
    """The reply to one job: exactly one field is set."""

    described: Described | None = None
    library: LibraryModel | None = None
    tokens: Tokens | None = None
    parameters: tuple[str, ...] | None = None
    traced: Traced | None = None
    converted: Converted | None = None
    stepped: Stepped | None = None
    failure: WorkerFailure | None = None
