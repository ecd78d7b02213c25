"""The declarations for TypeScript: all that the modules export, and nothing that is not there."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page

WEB = Path(__file__).parents[2] / "realtime/web"

EXPORTED = """async (address) => Object.fromEntries(Object.entries(await import(address)).map(([name, value]) => {
  if (!/^class/.test(String(value))) return [name, null];
  const members = Object.getOwnPropertyNames(value.prototype);
  const fixed = Object.getOwnPropertyNames(value).filter((one) => !["length", "name", "prototype"].includes(one));
  return [name, [...members, ...fixed].sort()];
}))"""
FIELDS = {"GalaxyClient": {"outbox", "welcome"}, "GalaxyError": {"code", "retry", "retry_after_ms", "field", "status"}}
"""What only instances have; fields that are private to a class are not seen."""


def declared(text: str) -> dict[str, list[str] | None]:
    """Exported values by name: None, or a class's members."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    plain = re.findall(r"^export (?:declare )?(?:const|function) (\w+)", text, re.MULTILINE)
    found: dict[str, list[str] | None] = dict.fromkeys(plain)
    for name, body in re.findall(r"^export class (\w+).*?\{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        members = re.findall(r"^  (?:static )?(?:readonly )?(\w+)(?=[?<(:])", body, re.MULTILINE)
        found[name] = sorted({*members, "constructor"} - FIELDS.get(name, set()))
    return found


@pytest.mark.parametrize("module", ["galaxy-live", "galaxy-live/player", "galaxy-live/publisher"])
def test_declarations_are_of_what_is_there(page: Page, module: str) -> None:
    exported = page.evaluate(EXPORTED, f"/web/{module}.js")
    found = declared((WEB / f"{module}.d.ts").read_text())
    assert found.keys() == exported.keys()
    for name, members in found.items():
        # What modules of ours say to each other is not declared.
        assert (members is None) == (exported[name] is None)
        assert set(members or ()) <= set(exported[name] or ()), name
