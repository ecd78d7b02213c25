"""What a player decides by: which way to take, how near to the end to play, when a picture stands still."""

from typing import Any

from playwright.sync_api import Page


def run(page: Page, module: str, body: str) -> Any:
    return page.evaluate(f"async () => {{ const m = await import('/web/galaxy-live/player/{module}.js'); {body} }}")


def test_a_way_that_fails_rests_for_twice_as_long_each_time(page: Page) -> None:
    body = """
      const chooser = new m.Chooser();
      const seen = [chooser.first(0), chooser.failed("whep", 0).way];
      chooser.plays();
      seen.push(chooser.better("stream", 29_999), chooser.better("stream", 30_000));
      chooser.failed("whep", 30_000);
      seen.push(chooser.better("stream", 89_999), chooser.better("stream", 90_000));
      for (let each = 0; each < 20; each++) chooser.failed("whep", 100_000);
      seen.push(chooser.better("stream", 699_999), chooser.better("stream", 700_000));
      return seen;
    """
    assert run(page, "chooser", body) == ["whep", "stream", None, "whep", None, "whep", None, "whep"]


def test_where_all_ways_rest_the_first_to_be_rested_is_tried_after_growing_pauses(page: Page) -> None:
    body = """
      const chooser = new m.Chooser();
      return ["whep", "stream", "hls", "whep", "stream", "hls", "whep"].map((way) => chooser.failed(way, 0));
    """
    found = run(page, "chooser", body)
    assert [one["way"] for one in found] == ["stream", "hls", "whep", "stream", "hls", "whep", "stream"]
    assert [one["afterMs"] for one in found] == [0, 0, 4_000, 8_000, 15_000, 15_000, 15_000]


def test_what_is_chosen_by_hand_is_kept(page: Page) -> None:
    body = """
      const chooser = new m.Chooser(["stream", "hls"]);
      chooser.failed("stream", 0);
      chooser.choose("hls");
      const seen = [chooser.first(0), chooser.failed("hls", 0), chooser.better("hls", 1e9)];
      chooser.choose(null);
      return [...seen, chooser.first(0), chooser.chosen];
    """
    assert run(page, "chooser", body) == ["hls", {"way": "hls", "afterMs": 1_000}, None, "stream", None]


def test_playback_is_kept_near_the_end(page: Page) -> None:
    body = """
      const edge = new m.LiveEdge();
      return [[9.65, [[0, 10]]], [9, [[0, 10]]], [1, [[0, 10]]], [9.9, [[0, 10]]], [5, []],
        [20, [[0, 10]]], [3.95, [[0, 4], [6, 10]]]].map(([at, ranges]) => edge.follow(at, ranges, 0));
    """
    kept, behind, far, early, empty, outside, gap = run(page, "live_edge", body)
    assert (kept, empty) == ({"rate": 1}, {"rate": 1})
    assert 1 < behind["rate"] <= 1.1
    assert far == outside == gap == {"jump": 9.65, "rate": 1}
    assert early == {"rate": 0.95}


def test_it_plays_further_behind_after_an_underrun_and_nearer_after_calm(page: Page) -> None:
    body = """
      const edge = new m.LiveEdge();
      const seen = [edge.target];
      for (let each = 0; each < 20; each++) edge.underrun(10);
      seen.push(edge.target);
      edge.follow(0, [], 40);
      seen.push(edge.target);
      for (let now = 41; now < 1000; now++) edge.follow(0, [], now);
      return [...seen, edge.target];
    """
    assert run(page, "live_edge", body) == [0.35, 3, 3, 0.35]


def test_a_picture_that_stands_still_is_noticed(page: Page) -> None:
    body = """
      const watch = new m.Watch("whep", 0);
      const look = (at, now, excused = false) => watch.look({ at, now, excused });
      return [look(1, 100), look(1, 700), look(1, 800), look(1, 4_099), look(1, 4_100), look(2, 4_200),
        look(2, 9_000, true), look(2, 9_600), look(2, 9_700)];
    """
    assert run(page, "watch", body) == [None, None, "short", "short", "long", None, None, None, "short"]


def test_a_picture_that_stands_still_often_is_too_much(page: Page) -> None:
    body = """
      const watch = new m.Watch("hls", 0);
      const seen = [];
      for (let each = 0; each < 4; each++) {
        watch.look({ at: each, now: each * 2_000, excused: false });
        seen.push(watch.look({ at: each, now: each * 2_000 + 800, excused: false }));
      }
      return seen;
    """
    assert run(page, "watch", body) == ["short", "short", "short", "often"]
