"""Which texts and names a document of a saved program may contain: torch evaluates some, and writes code from more."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from edgekit.export.programs.allowed_operators import is_operator
from edgekit.export.programs.expressions import PLAIN, is_guard, is_size

_Rule: TypeAlias = tuple[Callable[[str], bool], str]
_SHOWN: Final = 80

# Names become names in generated code; names of weights become texts in it.
_IDENTIFIER: Final = re.compile(r"([A-Za-z_]\w{0,500})?", re.ASCII)
_WEIGHT: Final = re.compile(r"[\w.\-/:+@ ]{0,500}", re.ASCII)
_WORD: Final = re.compile(r"[\w.+<>=-]{0,100}", re.ASCII)
_SYMBOL: Final = re.compile(r"[a-z_]+\d{1,6}", re.ASCII)
_PAYLOAD: Final = re.compile(r"(weight|tensor)_\d+", re.ASCII)
_ORIGIN: Final = re.compile(r"[\w.,; ]*", re.ASCII)
# Structures that torch rebuilds without an import.
_TREES: Final = (
    "builtins.tuple",
    "builtins.list",
    "builtins.dict",
    "collections.OrderedDict",
    "torch.fx.immutable_collections.immutable_list",
    "torch.fx.immutable_collections.immutable_dict",
)


def refused_forms(document: object) -> Iterator[str]:
    """What is wrong with a document of a `.pt2`: sentences without their subject, such as "calls 'os.system'…"."""
    return _refused(document, ())


def _refused(value: object, keys: tuple[str, ...]) -> Iterator[str]:
    """The same for a part of the document, which is at `keys`."""
    if isinstance(value, dict):
        for name, part in value.items():
            if not (_SYMBOL if keys[-1:] == ("range_constraints",) else _WEIGHT).fullmatch(name):
                yield f"has the name '{name[:_SHOWN]}', which contains more than letters, digits and . - / : + @"
            if name == "use_pickle" and part is not False:
                yield "contains a pickled object"
            yield from _refused(part, (*keys, name))
    elif isinstance(value, list):
        for part in value:
            yield from _refused(part, keys)
    elif isinstance(value, str):
        yield from _refused_text(value, keys)


def _refused_text(text: str, keys: tuple[str, ...]) -> Iterator[str]:
    key = keys[-1] if keys else ""
    # A text that an operator takes is never code; one that the program itself takes is written into its guards.
    rule = _FREE if key in ("as_string", "as_strings") and "nodes" in keys else _RULES.get(key)
    if rule is None:
        yield f"has the field '{key[:_SHOWN]}', which torch.export does not write"
    elif not rule[0](text):
        yield rule[1].format(text[:_SHOWN])


def _is_tree(text: str) -> bool:
    """Whether `text` describes a structure of tuples, lists and dictionaries."""
    try:
        version, tree = json.loads(text)
        return version == 1 and _is_node(tree)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _is_node(tree: Any) -> bool:
    if not isinstance(tree, dict) or set(tree) != {"type", "context", "children_spec"}:
        return False
    if tree["type"] is None:
        return tree["context"] is None and tree["children_spec"] == []
    return (
        tree["type"] in _TREES
        and _is_context(json.loads(tree["context"]))
        and all(_is_node(child) for child in tree["children_spec"])
    )


def _is_context(context: object) -> bool:
    """Whether this is nothing, or the keys of a dictionary."""
    if context is None:
        return True
    return isinstance(context, list) and all(
        isinstance(key, int) or (isinstance(key, str) and PLAIN.fullmatch(key) is not None) for key in context
    )


def _never(_text: str) -> bool:
    return False


def _matches(form: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: form.fullmatch(text) is not None


_FREE: Final[_Rule] = (lambda _text: True, "")
_NAME: Final[_Rule] = (_matches(_IDENTIFIER), "has the name '{}', which is not a name of Python")
_STORED: Final[_Rule] = (
    _matches(_WEIGHT),
    "has the name '{}', which contains more than letters, digits and . - / : + @",
)
_PLAIN_WORD: Final[_Rule] = (_matches(_WORD), "contains '{}', which torch.export does not write")
_OPERATOR: Final[_Rule] = (is_operator, "calls '{}', which is not a torch.export operator")
_TREE: Final[_Rule] = (_is_tree, "takes or returns a structure other than tuples, lists and dictionaries: '{}'")
_RULES: Final[Mapping[str, _Rule]] = {
    **dict.fromkeys(("name", "as_name", "forward_arg_names", "field_names"), _NAME),
    **dict.fromkeys(("parameter_name", "buffer_name", "tensor_constant_name", "user_input_name", "fqn"), _STORED),
    **dict.fromkeys(("verifiers", "torch_version", "type"), _PLAIN_WORD),
    **dict.fromkeys(("target", "as_operator"), _OPERATOR),
    **dict.fromkeys(("in_spec", "out_spec"), _TREE),
    **dict.fromkeys(("stack_trace", "nn_module_stack", "torch_fn", "custom", "from_node"), _FREE),
    **dict.fromkeys(("as_string", "as_strings"), (_matches(PLAIN), "takes the text '{}', which is not plain words")),
    **dict.fromkeys(("class_fqn", "custom_obj_name"), (_never, "contains an object of the class '{}'")),
    "source_fn_stack": (_matches(_ORIGIN), "has the origin '{}', which torch.export does not write"),
    "expr_str": (is_size, "has the size '{}', which is not a plain expression"),
    "guards_code": (is_guard, "has the guard '{}', which is not a plain condition on sizes"),
    "path_name": (_matches(_PAYLOAD), "contains the pickled object '{}'"),
}
