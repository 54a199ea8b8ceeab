"""Arguments and options that several commands share, and how their texts become values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from edgekit.cli.completion import names, targets
from edgekit.core.errors import EdgekitError
from edgekit.core.recipe import CALIBRATION_METHODS, DEFAULT_RECIPES, OPSETS
from edgekit.core.units import RATIO, TIME_S, parse_points, parse_quantity

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


path_type: Final = click.Path(path_type=Path)
_SECONDS: Final = {"": 1.0, "min": 60.0, **TIME_S}
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Duration(click.ParamType[float]):
    """A duration in seconds, e.g. `30`, `500 ms` or `2 min`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The value in seconds."""
        try:
            seconds = value if isinstance(value, float) else parse_quantity(value, _SECONDS)
        except EdgekitError as err:
            self.fail(err.message, param, ctx)
        if not 0 < seconds < float("inf"):
            self.fail(f"expected more than 0 s, got '{value}'.", param, ctx)
        return float(seconds)


class Share(click.ParamType[float]):
    """A share, e.g. `3%` or `0.03`."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The share, from 0 to 1."""
        try:
            share = value if isinstance(value, float) else parse_quantity(value, RATIO)
        except EdgekitError as err:
            self.fail(err.message, param, ctx)
        if not 0 <= share <= 1:
            self.fail(f"expected 0 to 100 %, got '{value}'.", param, ctx)
        return float(share)


class Sizes(click.ParamType[tuple[int, ...]]):
    """Positive integers, e.g. `1,8,32`."""

    name = "sizes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The numbers, each once."""
        if isinstance(value, tuple):
            return value
        numbers = [part.strip() for part in str(value).split(",")]
        if not all(number.isdecimal() and int(number) > 0 for number in numbers):
            self.fail(f"expected sizes of at least 1, e.g. 1,8,32, got '{value}'.", param, ctx)
        return tuple(dict.fromkeys(map(int, numbers)))


class Points(click.ParamType[float]):
    """Percentage points of a metric, e.g. `0.5 pt`; internally a share of 1."""

    name = "points"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The share, from 0 to 1."""
        if isinstance(value, float):
            return value
        try:
            return parse_points(value)
        except EdgekitError as err:
            self.fail(err.message, param, ctx)


class ReportFile(click.ParamType[Path]):
    """A file whose suffix selects the form of the report; checked before the work starts."""

    name = "file"

    def __init__(self, command: str = "") -> None:
        self._command = command

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path."""
        from edgekit.report.registry import endings

        path, allowed = Path(value), endings(self._command)
        if not path.name.lower().endswith(allowed):
            self.fail(f"'{path}' does not end in {', '.join(allowed)}.", param, ctx)
        return path

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Files, as the shell knows them."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


def source_argument(function: Any) -> Any:
    """SOURCE: what `build` and `export` start from."""
    return click.argument(
        "source",
        shell_complete=names("models", files=True),
        help="A reference model, a run of 'train', FILE.py:FACTORY or PACKAGE:FACTORY, also with arguments in brackets "
        "(executes its code), hf:PATH_OR_NAME, timm:NAME, torchvision:NAME, or an .onnx, .tflite or .pt2.",
    )(function)


def path_argument(function: Any) -> Any:
    """PATH: what `validate`, `profile` and `run` open."""
    return click.argument("path", type=path_type, help="A bundle, or a bare .onnx or .tflite file.")(function)


def source_options(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """All options that describe a source; the command receives them as `options: SourceOptions`."""

    @functools.wraps(function)
    def command(
        *arguments: Any,
        weights: Path | None,
        input: tuple[str, ...],
        sizes: tuple[str, ...],
        samples: Path | None,
        data: Path | None,
        labels: Path | None,
        calibration: int,
        calibration_method: str,
        task: str,
        preprocess: str,
        include_samples: bool,
        state: tuple[str, ...],
        trust: bool,
        **others: Any,
    ) -> int | None:
        from edgekit.flows.opening.source import SourceOptions

        options = SourceOptions(
            weights=weights,
            inputs=input,
            sizes=sizes,
            samples=samples,
            data=data,
            labels=labels,
            calibration=calibration,
            calibration_method=calibration_method,
            task=task,
            preprocess=preprocess,
            include_samples=include_samples,
            states=state,
            trust=trust,
        )
        return function(*arguments, **others, options=options)

    return _decorated(command, *_SOURCE_OPTIONS)


def _decorated(command: Callable[..., int | None], *options: Callable[..., Any]) -> Callable[..., int | None]:
    for option in reversed(options):
        command = option(command)
    return command


state_option = click.option(
    "--state",
    multiple=True,
    metavar="OUTPUT=INPUT",
    help="An output that is an input of the next part of a stream.  [default: recognized by name and shape]",
)
data_option = click.option(
    "--data", type=path_type, metavar="DIR", help="Folder that contains data sets.  [setting: data]"
)

_SOURCE_OPTIONS: Final = (
    click.option(
        "--weights", type=path_type, metavar="FILE", help="Weights: a .safetensors file, or a checkpoint (.pt, .ckpt)."
    ),
    click.option("--input", multiple=True, metavar="SPEC", help="An input, e.g. 'x:float32[N,1,28,28]'. Repeatable."),
    click.option("--sizes", multiple=True, metavar="SPEC", help="Sizes of a dynamic axis, e.g. T=32,64. Repeatable."),
    click.option(
        "--samples",
        type=path_type,
        metavar="PATH",
        help="Real inputs: .npz, .npy, .csv, or a folder of images or sounds (docs/samples.md).",
    ),
    data_option,
    click.option(
        "--labels",
        type=path_type,
        metavar="PATH",
        help="Class names or an alphabet, one per line; objects in COCO's form or texts of files (.json); or a folder "
        "of masks (.png).",
    ),
    click.option(
        "--calibration",
        type=click.IntRange(min=1),
        default=128,
        show_default=True,
        metavar="NUMBER",
        help="Number of samples that calibrate int8.",
    ),
    click.option(
        "--calibration-method",
        type=click.Choice(CALIBRATION_METHODS),
        default="min-max",
        show_default=True,
        help="How calibration sets value ranges; TFLite supports only min-max.",
    ),
    click.option(
        "--task",
        default="",
        metavar="TASK",
        help="classification, multi-label, regression, detection, segmentation, keypoints, transcription or "
        "translation, if it does not follow from the samples.",
    ),
    click.option(
        "--preprocess",
        default="",
        metavar="STEPS",
        help="How an image becomes the input: 'resize=256,crop=224,mean=0.485;0.456;0.406,std=0.229;0.224;0.225', or "
        "'letterbox=640x640'.",
    ),
    click.option(
        "--include-samples",
        is_flag=True,
        help="Include samples in the bundle even if the licence of their data restricts redistribution.",
    ),
    state_option,
    click.option(
        "--trust",
        is_flag=True,
        help="Run the code of the installed package that makes the network; remembered for this project.",
    ),
)
force_option = click.option("--force", is_flag=True, help="Replace the output if edgekit wrote it.")
to_option = click.option(
    "--to",
    multiple=True,
    metavar="RECIPES",
    shell_complete=names("recipes"),
    help=f"Recipes to make, comma-separated; repeatable.  [default: {','.join(DEFAULT_RECIPES)}]",
)
target_option = click.option(
    "--target",
    multiple=True,
    metavar="TARGETS",
    shell_complete=targets(),
    help="DEVICE[/BACKEND][@key=value], comma-separated; repeatable.  [setting: target]",
)
artifact_option = click.option(
    "--artifact",
    multiple=True,
    metavar="RECIPES",
    shell_complete=names("recipes"),
    help="Only these artifacts, comma-separated; repeatable.  [default: all]",
)
axis_sizes_option = click.option(
    "--sizes", multiple=True, metavar="SPEC", help="Size of a dynamic axis of a bare file, e.g. T=64. Repeatable."
)


def report_option_of(command: str, forms: str) -> Callable[[Decorated], Decorated]:
    """`--report` of a command; `forms` are what the name of a file may end in."""
    return click.option(
        "--report",
        multiple=True,
        type=ReportFile(command),
        metavar="FILE",
        help=f"Also write the report to FILE: {forms}. Repeatable.",
    )


report_option = report_option_of("", ".html, .json, .md or .xml (JUnit)")
launches_option = click.option(
    "--launches", type=int, metavar="NUMBER", help="Number of fresh processes per measurement.  [setting: launches]"
)
time_limit_option = click.option(
    "--time-limit",
    type=Duration(),
    metavar="TIME",
    help="How long each process keeps timing after warm-up, e.g. 500ms.",
)
precision_option = click.option(
    "--precision",
    type=Share(),
    metavar="SHARE",
    help="Launch until every median is known to within this, e.g. 1%, or until --time-box ends.",
)
wait_option = click.option(
    "--wait",
    type=Duration(),
    metavar="TIME",
    help="Wait up to TIME for a device that another user uses, e.g. 10min.  [setting: wait_s]",
)
timeout_option = click.option(
    "--timeout", type=Duration(), metavar="TIME", help="Time limit for one conversion.  [setting: timeout_s]"
)
_MAKING_OPTIONS: Final = (
    click.option(
        "--max-drop",
        type=Points(),
        metavar="POINTS",
        help="Largest drop of int8, e.g. 0.5pt (error metrics: per cent); sensitive operators stay in float32.",
    ),
    click.option(
        "--with-preprocessing",
        is_flag=True,
        help="Put preprocessing into the artifact: takes uint8 images (N,H,W,C) or int16 audio, returns scores.",
    ),
    click.option(
        "--keep-going/--fail-fast",
        default=True,
        help="If a recipe cannot be made, keep the others (default), or stop and write nothing.",
    ),
    click.option(
        "--opset",
        type=click.IntRange(*OPSETS),
        default=None,
        metavar="NUMBER",
        help="Opset of the .onnx files, for older versions of ONNX Runtime: 1.15 runs 19, 1.10 runs 15.",
    ),
    click.option(
        "--int8-time",
        type=Duration(),
        metavar="TIME",
        default="2min",
        show_default=True,
        help="How long onnx-int8 and tflite-int8 may try further int8 modes if the first one fails its checks.",
    ),
)


def making_options(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """All options on how artifacts are made; the command receives them as `how: ExportOptions`."""

    @functools.wraps(function)
    def command(
        *arguments: Any,
        max_drop: float | None,
        with_preprocessing: bool,
        keep_going: bool,
        opset: int | None,
        int8_time: float,
        **options: Any,
    ) -> int | None:
        from edgekit.flows.opening.source import ExportOptions

        how = ExportOptions(
            max_drop=max_drop, raw=with_preprocessing, keep_going=keep_going, opset=opset or 0, int8_time_s=int8_time
        )
        return function(*arguments, **options, how=how)

    return _decorated(command, *_MAKING_OPTIONS)


def parts(texts: Iterable[str]) -> tuple[str, ...]:
    """The parts of comma-separated texts."""
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())


def first_target(setting: str) -> str:
    """The first target of the setting, for commands that take one."""
    return parts([setting])[0] if parts([setting]) else setting


def source_name(source: str) -> str:
    """The name of a source, from which outputs are named: `digits`, `Net` of `net.py:Net`, `kws` of `runs/kws`."""
    from edgekit.export.factory_call import is_factory, parse_factory

    if is_factory(source) and not source.endswith(".py"):
        return parse_factory(source).name
    return Path(source).stem or "model"
