"""Owns what is said when a value has the wrong form: pydantic's findings in our own sentences.

Knows no field by name: what is near, expected and known it reads from the models themselves. Imports pydantic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import UnionType
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from infctl.diagnostics import Code
from infctl.spec.later import Later
from infctl.spec.parts import Through
from infctl.spec.paths import Loc, listed, quote, show, value_at
from infctl.spec.problems import MOST_TOLD, Problem, near, problem

UNKNOWN_FIELD = Code(
    "unknown-field",
    "A mapping has a key that the language does not know there.",
    "Mend the name, or take the line out; `infctl schema` lets an editor complete the names.",
)
MISSING_FIELD = Code("missing-field", "A field that is needed is not there.", "Add the field.")
WRONG_TYPE = Code(
    "wrong-type",
    "A value is of another kind than its field takes: text for a number, one value for a list.",
    "Write the value as the message expects it. Text in quotes is always text.",
)
BAD_VALUE = Code("bad-value", "A value is of the right kind, but not one that its field takes.", "Write another value.")

_WHOLE, _NUMBER, _TEXT, _FLAG, _LIST, _MAPPING = (
    "a whole number", "a number", "a text", "true or false", "a list", "a mapping",
)  # fmt: skip
_EXPECTED = {
    "int_type": _WHOLE, "int_parsing": _WHOLE, "int_from_float": _WHOLE, "int_parsing_size": _WHOLE,
    "float_type": _NUMBER, "float_parsing": _NUMBER, "finite_number": _NUMBER,
    "string_type": _TEXT, "string_sub_type": _TEXT, "bool_type": _FLAG, "bool_parsing": _FLAG,
    "list_type": _LIST, "tuple_type": _LIST, "set_type": _LIST, "frozen_set_type": _LIST, "iterable_type": _LIST,
    "dict_type": _MAPPING, "mapping_type": _MAPPING, "model_type": _MAPPING, "model_attributes_type": _MAPPING,
    "dataclass_type": _MAPPING, "none_required": "nothing", "byte_size": "a size, as 16GB",
}  # fmt: skip
_BOUNDS = {
    "greater_than": ("gt", "more than"), "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"), "less_than_equal": ("le", "at most"),
}  # fmt: skip
_LONGEST = 40  # characters of a value in a hint
_FEW = 12  # names that a hint lists
_MERGE = "YAML 1.2 has no merge keys; a model takes over another's fields with like:"
_UNIONS = (Union, UnionType)
_SPOKEN_FLAGS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def check(form: type[BaseModel] | TypeAdapter[Any], value: Any, at: Loc = ()) -> tuple[Any, list[Problem]]:
    """Return `value` in its typed form, or None and what is wrong with it. `at` is where `value` stands."""
    try:
        if isinstance(form, TypeAdapter):
            return form.validate_python(value), []
        return form.model_validate(value), []
    except ValidationError as failure:
        return None, translate(failure, form, value, at)


def translate(failure: ValidationError, form: Any, value: Any, at: Loc = ()) -> list[Problem]:
    """Return the findings as problems, no more than are told. Branches of a union that all failed become one."""
    grouped: dict[tuple[Loc, str], list[ErrorDetails]] = {}
    found = failure.errors(include_url=False)
    inside = {each["loc"][:length] for each in found for length in range(len(each["loc"]))}
    for each in found:
        kind = each["type"]
        if kind == "too_short" and each["loc"] in inside:
            continue  # it is not: what it holds is wrong, and that is told
        inner = value_at(value, each["loc"])[1]
        if kind == "missing":
            inner = (*inner, each["loc"][-1])
        grouped.setdefault((inner, kind if kind in {"missing", "extra_forbidden"} else ""), []).append(each)
    annotation = form._type if isinstance(form, TypeAdapter) else form  # noqa: SLF001  -- it has no public name
    return [_tell(found, annotation, inner, at) for (inner, _), found in islice(grouped.items(), MOST_TOLD + 1)]


def _tell(found: list[ErrorDetails], form: Any, inner: Loc, at: Loc) -> Problem:
    first, loc = found[0], (*at, *inner)
    kind = first["type"]
    if kind == "extra_forbidden":
        known = list(_names(_owner(form, inner[:-1])))
        few = f"it has {listed(known)}" if 0 < len(known) <= _FEW else UNKNOWN_FIELD.remedy
        hint = _MERGE if inner[-1] == "<<" else near(str(inner[-1]), known) or few
        detail = f"not a field of {_noun(form, inner[:-1], at)}"
        return problem(UNKNOWN_FIELD, "Unsupported field", detail, loc=loc, hint=hint, at_key=True)
    if kind == "missing":
        detail = f"{_noun(form, inner[:-1], at)} needs {inner[-1]}"
        hint = f"add {inner[-1]}: {_description(form, inner)}".rstrip(": ")
        return problem(MISSING_FIELD, f"{inner[-1]} is missing", detail, loc=loc, hint=hint, at_key=True)
    name = show(loc[-2:] if isinstance(loc[-1], int) else loc[-1:])
    if all(each["type"] in _EXPECTED for each in found):
        expected = listed(dict.fromkeys(_EXPECTED[each["type"]] for each in found))
        detail = f"expected {expected}, found {_in_words(first['input'])}"
        hint = _type_hint(expected, first["input"]) or _description(form, inner)
        return problem(WRONG_TYPE, f"{name} has the wrong type", detail, loc=loc, hint=hint)
    detail, hint = _wrong_value(next(each for each in found if each["type"] not in _EXPECTED))
    return problem(BAD_VALUE, f"{name} has a wrong value", detail, loc=loc, hint=hint or _description(form, inner))


def _wrong_value(found: ErrorDetails) -> tuple[str, str]:
    """Return what is wrong with a value of the right type, and a hint where there is one."""
    kind, context, value = found["type"], found.get("ctx", {}), found["input"]
    if kind in {"literal_error", "enum"}:
        words = [word.strip().strip("'") for word in context["expected"].replace(" or ", ", ").split(",")]
        return f"{quote(value)} is not {listed(words)}", near(str(value), words)
    if kind in _BOUNDS:
        key, words_for = _BOUNDS[kind]
        return f"must be {words_for} {context[key]:g}", ""
    if kind == "string_pattern_mismatch":
        return f"{quote(value)} does not fit", ""
    if kind in {"too_short", "string_too_short"}:
        return "must not be empty", ""
    if kind in {"value_error", "assertion_error"}:
        said = context["error"]
        return str(said), getattr(said, "hint", "")
    if kind in {"too_long", "string_too_long"}:
        return f"must not have more than {context['max_length']}", ""
    return found["msg"], ""


def _in_words(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the text {quote(value)}"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, Mapping):
        return "a mapping"
    return quote(value) if isinstance(value, bool) else f"the number {quote(value)}"


def _type_hint(expected: str, value: Any) -> str:
    if value is None:
        return "take the line out, or give it a value"
    if expected == _MAPPING:
        return "write lines of `name: value`" + (", without `-`" if isinstance(value, list) else " below it")
    if isinstance(value, str):
        return _text_hint(expected, value)
    if expected == _TEXT and isinstance(value, (bool, int, float)):
        return f"write {quote(str(value).lower())} in quotes"
    return ""


def _text_hint(expected: str, value: str) -> str:
    """Return what to write where a text stands and something else is expected."""
    if expected == _LIST:
        return f"write [{value}]" if len(value) <= _LONGEST else "write it as a list, in [ ]"
    if expected == _FLAG:
        return f"write {_SPOKEN_FLAGS.get(value.lower(), 'true or false, without quotes')}"
    is_number = value.strip().lstrip("-").replace(".", "", 1).isdigit()
    return f"take the quotes off: {value.strip()}" if is_number and expected in {_WHOLE, _NUMBER} else ""


# ---------------------------------------------------------------- what the models know


def _owner(form: Any, loc: Loc) -> Any:
    """Return the type that describes what stands at `loc`, None where nothing does."""
    for step in loc:
        field = _field(form, step)
        form = _type_of_field(field) if field is not None else _item(form)
    return _plain(form)


def _field(form: Any, step: str | int) -> FieldInfo | None:
    form = _plain(form)
    if _is_model(form):
        for name, field in form.model_fields.items():
            if step in {name, field.alias}:
                return field
    return None


def _type_of_field(field: FieldInfo) -> Any:
    return _form_in(field.metadata) or field.annotation


def _form_in(metadata: Iterable[Any]) -> Any:
    """Return the type that an annotation leads to, None where none does."""
    return next((each.form for each in metadata if isinstance(each, (Later, Through))), None)


def _item(form: Any) -> Any:
    """Return the type of the values inside of a mapping or list."""
    form = _plain(form)
    inner = [each for each in get_args(form) if each is not Ellipsis]
    return inner[-1] if inner and get_origin(form) in {dict, list, tuple, Mapping} else None


def _plain(form: Any) -> Any:
    """Return a type without Annotated and without the None of an optional field."""
    while True:
        if get_origin(form) is Annotated:
            inner, *metadata = get_args(form)
            form = _form_in(metadata) or inner
            continue
        choices = [each for each in get_args(form) if each is not type(None)]
        if get_origin(form) in _UNIONS and choices:
            form = next((each for each in choices if _is_model(each)), choices[0])
            continue
        return form


def _is_model(form: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(form, type) and issubclass(form, BaseModel)


def _names(form: Any) -> Iterator[str]:
    if _is_model(form):
        hidden = getattr(form, "hidden", ())  # infctl's own, which files cannot give
        yield from (field.alias or name for name, field in form.model_fields.items() if name not in hidden)


def _noun(form: Any, loc: Loc, at: Loc) -> str:
    noun: str = getattr(_owner(form, loc), "noun", "")
    return noun or ("a target of this type" if at[:1] == ("targets",) and not loc else "this mapping")


def _description(form: Any, loc: Loc) -> str:
    field = _field(_owner(form, loc[:-1]), loc[-1]) if loc else None
    return (field.description or "") if field else ""
