"""Carries the docstrings of fields into JSON Schema, when a schema is asked for and not before.

pydantic can do it while it makes the classes (`use_attribute_docstrings`), by parsing the source of every
model whenever the package is imported: most of the time that `strake --help` would take.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core.core_schema import ModelSchema


class DescribedSchema(GenerateJsonSchema):
    """Generates JSON Schema whose properties have their fields' docstrings as descriptions."""

    def model_schema(self, schema: ModelSchema) -> dict[str, Any]:
        """Return a model's schema with descriptions."""
        made = super().model_schema(schema)
        model = schema["cls"]
        described = _docstrings(model)
        for name, field in model.model_fields.items():
            found = made.get("properties", {}).get(field.alias or name)
            if found is not None and name in described:
                found.setdefault("description", described[name])
        return made


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstrings of the fields of a model and of the models it derives from."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if cls.__module__.partition(".")[0] != __name__.partition(".")[0]:
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        assert isinstance(tree, ast.ClassDef)  # noqa: S101 - the source of a class is one
        for field, following in zip(tree.body, tree.body[1:], strict=False):
            match field, following:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = inspect.cleandoc(text)
                case _:
                    continue
    return found
