"""The JSON schema of a spec that is written as a structure in a config."""

from typing import Any

from .structure import CLAUSES, KEYS

Schema = dict[str, Any]


def schema() -> Schema:
    """The schema of the value under the key `peft`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pefc spec",
        "description": "What is added to a model, and where: a text, or a list of entries.",
        "$ref": "#/$defs/spec",
        "$defs": {
            "spec": _any(_text("statements of the language"), _ref("entry"), _list(_ref("entry"))),
            "entry": _any(
                _text("a statement of the language"),
                *(_ref(name) for name in KEYS),
                _ref("attachment"),
            ),
            "value": _any(
                _text(
                    "an expression: `nf4`, `2 * r`, `10x`, `0..5`, or a string in quotes of its"
                    " own; for a parameter that takes any text, a member or the text as it stands"
                ),
                {"type": ["number", "boolean"]},
                _list(_ref("value")),
            ),
            "values": {"type": "object", "additionalProperties": _ref("value")},
            "arguments": _any(
                _ref("values"), _list(_any(_ref("value"), _ref("values"))), _ref("value"), _null()
            ),
            **{name: _entry(name, keys) for name, keys in KEYS.items()},
            "attachment": _attachment(),
        },
    }


def _entry(name: str, keys: tuple[str, ...]) -> Schema:
    """An entry whose first key is a word of the language."""
    return {
        "type": "object",
        "required": [name],
        "additionalProperties": False,
        "properties": {name: _head(name), **{key: _beside(key) for key in keys}},
    }


def _attachment() -> Schema:
    """A method or modifier with its arguments: the one key that is no clause."""
    return {
        "type": "object",
        "minProperties": 1,
        "properties": {key: _beside(key) for key in (*CLAUSES, "do")},
        "additionalProperties": _ref("arguments"),
        "not": {"anyOf": [{"required": [name]} for name in KEYS]},
    }


def _head(name: str) -> Schema:
    match name:
        case "let" | "param":
            return _ref("values")
        case "import":
            return _any(_text("a file, relative to this one"), _list({"type": "string"}))
        case "tune":
            return _any({"enum": ["bias", "weight"]}, _null())
        case _:
            return _text(f"the name of the {name}")


def _beside(key: str) -> Schema:
    match key:
        case "on":
            return _any(
                _text("a selector, or the kind of site of a method"), _list({"type": "string"})
            )
        case "in":
            return _any(
                _text("`layers 0..5`, `0..5` or `all`"), {"type": "integer"}, _list(_ref("value"))
            )
        case "with":
            return _any(_ref("values"), _text("settings, such as `lr=10x, decay=0`"))
        case "expect":
            return {"type": "integer", "minimum": 0}
        case "where":
            return _any(_text("a condition on a site's facts"), {"type": "boolean"})
        case "do":
            return _any(_ref("spec"), _null())
        case "is":
            return _any(_text("a method with its arguments"), _ref("attachment"))
        case "parameters":
            table = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
            return _any(_text("`r: int = 8, s`"), _list({"type": "string"}), table)
        case _:
            return {"type": "string"}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _any(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _null() -> Schema:
    return {"type": "null"}
