"""Lists, keywords, credits and exports, on both databases."""

from __future__ import annotations

import csv
import json
import math
import stat
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session

from databoard import catalogue, credits, export, leaderboard, listing, people
from databoard.errors import AlreadyThere, DataboardError
from databoard.leaderboard import Board, Column
from databoard.model.event import Event
from databoard.model.submission import Submission
from tests.test_leaderboard import add_scored, make_event

LISTS = (
    *(listing.workflow_element_types, listing.workflows, listing.score_types, listing.problems),
    *(listing.events, listing.users, listing.teams, listing.keywords),
)


@pytest.fixture(autouse=True)
def autumn(session: Session) -> Event:
    """An event with users, teams and submissions; keywords on its problem."""
    catalogue.add_workflow_element_type(session, "regressor", "code")
    catalogue.add_workflow_element_type(session, "prices", "data")
    session.flush()
    catalogue.add_workflow(session, "Market", ["regressor", "prices"])
    made = make_event(session, True)
    catalogue.add_keyword(session, "weather", "data_domain", "what falls from above")
    catalogue.add_keyword(session, "regression", "data_science_theme")
    session.flush()
    catalogue.set_keywords(session, "autumn", ["weather", "regression"])
    people.create_user(session, "saffron", "s@example.org", "Été", "O'Hara", access_level="user")
    people.create_user(session, "juniper", "j@example.org")
    session.flush()
    for number in range(3):
        add_scored(session, made, "saffron", f"s{number}", (1.0, number), (1.0, None))
    gone = session.scalars(select(Submission).where(Submission.name == "s2")).one()
    gone.state = "deleted"
    session.flush()
    return made


def test_what_is_listed(session: Session) -> None:
    def rows(board: Board) -> list[tuple[object, ...]]:
        return [tuple(row) for row in board.rows]

    assert rows(listing.workflow_element_types(session)) == [
        ("prices", "data", 1),
        ("regressor", "code", 1),
    ]
    assert rows(listing.workflows(session)) == [
        ("Market", ("regressor", "prices")),
        ("autumn", ()),
    ]
    assert rows(listing.score_types(session)) == [
        ("autumn_0", True, -math.inf, math.inf, 1),
        ("autumn_1", False, -math.inf, math.inf, 1),
    ]
    assert rows(listing.problems(session)) == [
        ("autumn", "autumn", "autumn", 1, ("regression", "weather"))
    ]
    assert rows(listing.events(session)) == [
        ("autumn", "autumn", "Autumn", False, None, None, None, 1, 2)
    ]
    assert [row[:5] for row in rows(listing.users(session))] == [
        ("juniper", "", "", "j@example.org", "asked"),
        ("saffron", "Été", "O'Hara", "s@example.org", "user"),
    ]
    assert rows(listing.teams(session)) == [
        ("juniper", ("juniper",), 0),
        ("saffron", ("saffron",), 1),
    ]
    assert rows(listing.keywords(session)) == [
        ("weather", "data_domain", "what falls from above", 1),
        ("regression", "data_science_theme", "", 1),
    ]


@pytest.mark.parametrize("of", LISTS, ids=lambda of: of.__name__)
def test_a_list_is_as_many_statements_whatever_its_size(
    engine: Engine, session: Session, of: object
) -> None:
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    def count() -> int:
        session.expire_all()
        statements.clear()
        of(session)  # type: ignore[operator]
        return len(statements)

    before = count()
    for number in range(20):
        people.create_user(session, f"u{number}", f"u{number}@example.org")
        catalogue.add_workflow_element_type(session, f"e{number}", "text")
        session.flush()
        catalogue.add_workflow(session, f"w{number}", [f"e{number}", "prices"])
        made = make_event(session, True, f"event{number}")
        add_scored(session, made, f"u{number}", "s", (1.0, 1.0), (1.0, None))
    session.flush()
    assert count() == before <= 3


def test_keywords_are_replaced(session: Session) -> None:
    catalogue.set_keywords(session, "autumn", [])
    session.flush()
    assert listing.problems(session).rows[0][4] is None
    with pytest.raises(AlreadyThere, match=r"^There is already a keyword weather\."):
        catalogue.add_keyword(session, "weather", "data_science_theme")


# -- credits


def find(session: Session, name: str) -> Submission:
    return session.scalars(select(Submission).where(Submission.name == name)).one()


def test_credits_are_replaced_as_a_whole(session: Session, autumn: Event) -> None:
    add_scored(session, autumn, "juniper", "late", (1.0, 1.0), (1.0, None))
    late = find(session, "late")
    typed = credits.read_credits("saffron/s1=0.25, saffron/s0=.75")
    credits.set_credits(session, late, typed)
    assert list(credits.credits_of(session, late).items()) == [
        (("saffron", "s0"), 0.75),
        (("saffron", "s1"), 0.25),
    ]
    credits.set_credits(session, late, credits.read_credits("saffron/s0=1"))
    assert credits.credits_of(session, late) == {("saffron", "s0"): 1.0}
    credits.set_credits(session, late, credits.read_credits("none"))
    assert credits.credits_of(session, late) == {}


def test_thirds_are_at_most_one(session: Session, autumn: Event) -> None:
    add_scored(session, autumn, "juniper", "three", (1.0, 1.0), (1.0, None))
    add_scored(session, autumn, "juniper", "late", (1.0, 1.0), (1.0, None))
    sources = (("saffron", "s0"), ("saffron", "s1"), ("juniper", "three"))
    late = find(session, "late")
    credits.set_credits(session, late, dict.fromkeys(sources, 1 / 3))
    assert len(credits.credits_of(session, late)) == 3


@pytest.mark.parametrize("source", ["saffron/s1", "saffron/s2", "juniper/other", "nobody/s0"])
def test_credits_go_to_what_was_there_before(session: Session, autumn: Event, source: str) -> None:
    """Not to itself, to what came later or is deleted, nor to another event: no circles."""
    other = make_event(session, True, "other")
    add_scored(session, other, "juniper", "other", (1.0, 1.0), (1.0, None))
    name = "late" if source.endswith("s2") else "s0"
    if name == "late":
        add_scored(session, autumn, "juniper", "late", (1.0, 1.0), (1.0, None))
    with pytest.raises(DataboardError) as caught:
        credits.set_credits(session, find(session, name), credits.read_credits(f"{source}=1"))
    assert str(caught.value) == (
        f"'{source}' is no submission from before {name}.\n"
        "Credit what was there before it: inv print-submissions autumn"
    )


# -- exports


def test_every_board_is_exported_for_its_owner_alone(
    session: Session, autumn: Event, tmp_path: Path
) -> None:
    autumn = leaderboard.load_event(session, "autumn")
    paths = export.export_boards(session, autumn, tmp_path / "boards")
    assert export.export_boards(session, autumn, tmp_path / "boards") == paths
    assert sorted(paths) == sorted((tmp_path / "boards").iterdir())  # nothing is left over
    assert [path.name for path in paths] == [
        f"autumn_{name}.{suffix}" for name in export.BOARDS for suffix in ("csv", "json")
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    private = json.loads((tmp_path / "boards" / "autumn_private.json").read_text())
    with (tmp_path / "boards" / "autumn_private.csv").open(newline="") as file:
        of_csv = list(csv.DictReader(file))
    assert [row["submission"] for row in private] == ["s0", "s1"]
    assert [row["submission"] for row in of_csv] == ["s0", "s1"]
    assert [row["autumn_0_test_bag"] for row in private] == [0.0, 1.0]
    assert [row["autumn_0_test_bag"] for row in of_csv] == ["0.0", "1.0"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(tmp_path: Path, start: str) -> None:
    columns = tuple(Column(name, name) for name in ("a", "b", "c"))
    board = Board("", columns, [(f"{start}1+cmd", "1=1", -0.5)])
    path = tmp_path / "board.csv"
    with path.open("w", newline="") as file:
        export.write_csv(board, file)
    with path.open(newline="") as file:
        (_, row) = csv.reader(file)
    assert row == [f"'{start}1+cmd".replace("\r", "\n"), "1=1", "-0.5"]


def test_an_export_that_fails_leaves_the_old_file(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    autumn = leaderboard.load_event(session, "autumn")
    folder = tmp_path / "boards"
    paths = export.export_boards(session, autumn, folder)
    before = {path: path.read_bytes() for path in paths}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "write_csv", full)
    with pytest.raises(OSError, match="No space left"):
        export.export_boards(session, autumn, folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
