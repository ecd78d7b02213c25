"""What the server's source says of itself where no type does: close codes, and events that are built by hand."""

import ast
from collections.abc import Iterator
from pathlib import Path

REALTIME = Path(__file__).parents[2] / "realtime"
_PARTS = ("gateway", "hosting", "fanout", "live")
_CLOSING = ("close", "Ended", "Violation", "_fail", "call_soon")


def _trees() -> Iterator[ast.Module]:
    for part in _PARTS:
        for path in sorted((REALTIME / part).glob("*.py")):
            yield ast.parse(path.read_text())


def close_codes() -> set[int]:
    """Codes given where a connection is closed, and those that have a name of their own in the gateway."""
    found: set[int] = set()
    for tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node.func) in _CLOSING:
                found |= {n for argument in node.args for n in _numbers(argument)}
            elif isinstance(node, ast.Assign) and all(_is_constant(target) for target in node.targets):
                found |= set(_numbers(node.value))
    return {code for code in found if 1_001 <= code <= 1_015 or 3_001 <= code <= 3_599}


def events() -> set[str]:
    """Values of "type" in dictionaries."""
    found: set[str] = set()
    for tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                found |= {
                    str(ast.literal_eval(v)) for k, v in pairs if isinstance(k, ast.Constant) and k.value == "type"
                }
    return found


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _numbers(node: ast.expr) -> Iterator[int]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and type(part.value) is int:
            yield part.value


def _is_constant(target: ast.expr) -> bool:
    names = target.elts if isinstance(target, ast.Tuple) else [target]
    return all(isinstance(name, ast.Name) and name.id.isupper() for name in names)
