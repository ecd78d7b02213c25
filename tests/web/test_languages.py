"""Every text the page asks for is there in every language, with the same places to fill in."""

import re
from typing import Any

from playwright.sync_api import Page

from tests.web.scripted import WEB

LITERAL = re.compile(r"""\bt\(\s*"([\w.]+)\"""")
NOTICE = re.compile(r"""notice\(event, "([\w.]+)\"""")
PLACE = re.compile(r"\{(\w+)\}")


def texts(page: Page) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = page.evaluate(
        "async () => ({ en: (await import('/web/i18n/en.js')).default, zh: (await import('/web/i18n/zh.js')).default })"
    )
    return found


def forms(text: Any) -> list[str]:
    return list(text.values()) if isinstance(text, dict) else [text]


def test_every_key_in_the_code_has_a_text(page: Page) -> None:
    asked = set()
    for file in WEB.rglob("*.js"):
        source = file.read_text(encoding="utf-8")
        asked |= set(LITERAL.findall(source)) | set(NOTICE.findall(source))
    assert len(asked) > 150
    assert asked - texts(page)["en"].keys() == set()


def test_languages_have_the_same_keys_and_places(page: Page) -> None:
    languages = texts(page)
    assert languages["en"].keys() == languages["zh"].keys()
    for key, text in languages["en"].items():
        places = {place for form in forms(text) for place in PLACE.findall(form)}
        for form in forms(languages["zh"][key]):
            assert set(PLACE.findall(form)) == places, key


def test_counts_choose_their_form_and_names_are_isolated(page: Page) -> None:
    shown = page.evaluate("""async () => {
      const { t } = await import("/web/lib/i18n.js");
      return [t("room.members", { count: 1 }), t("room.members", { count: 1234 }), t("home.hello", { name: "\u05d0" })];
    }""")
    assert shown == ["1 member", "1,234 members", "Hello, \u2068\u05d0\u2069"]
