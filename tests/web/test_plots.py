"""Plots: their data is what the viewer may see, and each has a table."""

from __future__ import annotations

from tests.web.board import Site


def test_the_best_runs_along(site: Site) -> None:
    for number, score in enumerate((0.5, 0.25, 0.75, 0.5)):
        site.add_scored("saffron", f"s{number}", score)
    told = site.browser().open("/events/autumn/plots.json").json
    assert told is not None and told["score"] == "acc" and not told["is_lower_the_better"]
    assert [each["score"] for each in told["points"]] == [0.5, 0.25, 0.75, 0.5]
    assert [each["best"] for each in told["points"]] == [0.5, 0.5, 0.75, 0.75]
    page = site.browser().get("/events/autumn/plots")
    table = page.partition("Each submission that was the best")[2].partition("</table>")[0]
    assert "s0" in table and "s2" in table and "s1" not in table


def test_nothing_hidden_is_drawn(site: Site) -> None:
    site.add_scored("saffron", "first", 0.625)
    for path in ("/events/autumn/plots.json", "/events/autumn/plots"):
        assert "0.3125" not in site.browser().get(path)
        site.set(is_anonymous=True)
        text = site.browser("juniper").get(path)
        assert "first" not in text and ">saffron<" not in text and '"saffron"' not in text
        site.set(is_anonymous=False, frozen_at="2020-01-01")
        assert "first" not in site.browser("juniper").get(path)
        assert "first" in site.browser("sage").get(path)
        site.set(frozen_at="none", is_public=False)
        site.browser("lovage").get(path, 404)
        site.set(is_public=True)


def test_an_event_without_scores(site: Site) -> None:
    assert "Nothing is scored yet." in site.browser().get("/events/autumn/plots")
    assert (site.browser().open("/events/autumn/plots.json").json or {})["points"] == []
    site.browser().get("/submissions/1/folds.json", 404)
