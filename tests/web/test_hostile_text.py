"""What users write can neither run nor break the page."""

from playwright.sync_api import Page

from tests.web.test_timeline import show

MARKUP = [
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 1'>",
    '"><svg onload=window.hit=1>',
    "<style>*{display:none}</style>",
    "<a href='javascript:window.hit=1'>x</a>",
]
LAYOUT = {
    "direction override": "\u202e\u202e\u202eabc def \u2067\u2067 unclosed",
    "stacked marks": "Z" + "\u0300\u0301\u0302\u0303" * 60,
    "zero width": "a" + "\u200b\u200d\u2060" * 500 + "b",
    "one long word": "w" * 4000,
    "long emoji": "👨‍👩‍👧‍👦" * 300,
    "many lines": "line\n" * 1500,
}


def test_markup_is_shown_as_text(page: Page) -> None:
    show(page, len(MARKUP), texts=MARKUP)
    assert page.get_by_test_id("message-text").all_inner_texts() == MARKUP
    assert page.locator(".rows script, .rows img, .rows style, .rows iframe, .rows a").count() == 0
    assert page.evaluate("() => window.hit") is None


def test_names_titles_and_quotes_are_shown_as_text(page: Page) -> None:
    show(page, 1)
    page.evaluate(
        """(texts) => {
      for (const [index, text] of texts.entries()) {
        const by = { id: `x${index}`, name: text, role: "owner" };
        const reply_to = { pos: 2, by, text };
        const message = { text, n: 2 + index, mentions: [by.id], reply_to };
        room.apply({ type: "message.created", room: "r1", pos: 10 + index, at: Date.now(), by, message });
      }
      room.info.title = texts[0];
      timeline.draw();
    }""",
        MARKUP,
    )
    assert page.locator(".author").all_inner_texts()[1:] == MARKUP
    assert page.locator(".rows script, .rows img, .rows style, .rows iframe, .rows a").count() == 0
    assert page.evaluate("() => window.hit") is None


def test_only_web_addresses_become_links(page: Page) -> None:
    text = "https://a.example/x_(y). javascript:alert(1) data:text/html,x http://b.example/?q=1&r=<b>, ftp://c.example"
    show(page, 1, texts=[text])
    links = page.locator(".text a")
    assert links.evaluate_all("(all) => all.map((link) => link.href)") == [
        "https://a.example/x_(y)",
        "http://b.example/?q=1&r=",
    ]
    assert links.first.get_attribute("rel") == "noopener noreferrer nofollow"
    assert links.first.get_attribute("target") == "_blank"
    assert page.get_by_test_id("message-text").inner_text() == text


def test_no_text_or_name_widens_the_page_or_covers_its_neighbours(page: Page) -> None:
    show(page, 1)
    page.evaluate(
        """(texts) => {
      texts.forEach((text, index) => {
        const by = { id: `x${index}`, name: text.slice(0, 400), role: "moderator" };
        const reactions = [{ emoji: text.slice(0, 64), count: 1, mine: false }];
        const message = { text, n: 2 + index, mentions: [], reply_to: { pos: 2, by, text } };
        room.apply({ type: "message.created", room: "r1", pos: 10 + index, at: Date.now(), by, message });
        room.window.update(10 + index, (old) => ({ ...old, reactions }));
      });
      timeline.draw();
    }""",
        list(LAYOUT.values()),
    )
    assert page.evaluate("() => scroller.scrollWidth <= scroller.clientWidth")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    heights = page.evaluate("() => [...document.querySelectorAll('.rows > .message')].map((row) => row.offsetHeight)")
    assert max(heights) < 700  # the longest are folded behind a button
    clipped = page.locator(".text").evaluate_all(
        "(all) => all.every((text) => getComputedStyle(text).overflowY !== 'visible')"
    )
    assert clipped
    isolated = page.locator(".author, .text, .quoted").evaluate_all(
        "(all) => all.every((node) => ['isolate', 'plaintext'].includes(getComputedStyle(node).unicodeBidi))"
    )
    assert isolated


def test_a_name_of_nothing_but_tricks_falls_back_to_the_id(page: Page) -> None:
    names = page.evaluate("""async () => {
      const { nameOf } = await import("/web/lib/text.js");
      return [
        nameOf({ id: "x1", name: "\\u202e\\u200b\\u2066" }),
        nameOf({ id: "x2", name: "\\u3164\\u115f" }),
        nameOf({ id: "x3", name: "\\u202eAnn\\u0000" }),
        nameOf({ id: "x4", name: "e" + "\\u0301".repeat(40) }).length,
        nameOf({ id: "\\u200b", name: "" }),
      ];
    }""")
    assert names == ["x1", "x2", "Ann", 3, "?"]


def test_mentions_are_marked_by_the_longest_name(page: Page) -> None:
    marked = page.evaluate("""async () => {
      const { richText } = await import("/web/lib/text.js");
      const users = new Map([["u1", { name: "Ann" }], ["u2", { name: "Ann Lee" }]]);
      const nodes = richText("@ann lee, @Annex, @u1 and a@Ann", { mentions: ["u1", "u2"], users, me: "u1" });
      return nodes.filter((node) => node.nodeType).map((node) => [node.textContent, node.className]);
    }""")
    assert marked == [["@ann lee", "at"], ["@u1", "at mine"]]
