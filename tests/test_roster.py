"""Rosters: read whole, or refused whole with all that is wrong."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from databoard import roster
from databoard.errors import AlreadyThere, InvalidValue

HEAD = "firstname,lastname,email,name,hidden_notes\n"
ADA = "Ada,Lovelace,ada@example.org,ada,first of all\n"
EMMY = "Emmy,Noether,emmy@example.org,emmy,\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def read(file: Path, text: str | bytes) -> list[roster.Row]:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(roster.read(file).rows)


def refused(file: Path, text: str | bytes) -> tuple[str, str]:
    with pytest.raises(InvalidValue) as caught:
        read(file, text)
    return caught.value.message.replace(str(file), "FILE"), caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        HEAD + ADA + EMMY,
        (HEAD + ADA + EMMY).replace(",", ";"),
        (HEAD + ADA + EMMY).replace(",", "\t"),
        "\ufeff" + HEAD + ADA + EMMY,
        (HEAD + ADA + EMMY).replace("\n", "\r\n"),
        "firstname  lastname  email name  hidden_notes\n"
        'Ada   Lovelace ada@example.org   ada "first of all"\n'
        'Emmy Noether emmy@example.org emmy ""',
        "Name, Email ,lastname,hidden_notes,firstname\n"
        "ada,ada@example.org,Lovelace,first of all,Ada\n"
        "emmy,emmy@example.org,Noether,,Emmy\n",
    ],
    ids=["commas", "semicolons", "tabs", "bom", "windows", "spaces", "another order"],
)
def test_all_forms_of_a_table(file: Path, text: str) -> None:
    assert read(file, text) == [
        roster.Row(2, "ada@example.org", "ada", "Ada", "Lovelace", "first of all"),
        roster.Row(3, "emmy@example.org", "emmy", "Emmy", "Noether"),
    ]


def test_names_of_all_alphabets(file: Path) -> None:
    names = "Zoë,Łukasiewicz,zoe@example.org,zoe,\n李,明,li@example.org,li,\n"
    assert [row.firstname for row in read(file, HEAD + names)] == ["Zoë", "李"]
    file.write_bytes((HEAD + "Zoë,Müller,zoe@example.org,zoe,\n").encode("latin-1"))
    found = roster.read(file)
    assert (found.is_latin, found.rows[0].lastname) == (True, "Müller")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "FILE is empty.", "Its first line is: firstname,lastname,email,name,hidden_notes"),
        (HEAD, "FILE has no rows.", "Write a person on each line."),
        (
            "firstname,email\nAda,ada@example.org\n",
            "FILE has no column name.",
            "Its first line names them: firstname, lastname, email, name, hidden_notes.",
        ),
        (
            "name,mail\nada,ada@example.org\n",
            "FILE has a column 'mail', which is none.",
            "Did you mean 'email'? Columns: firstname, lastname, email, name, hidden_notes.",
        ),
        (
            HEAD + ADA + "a,b,c,d,e,f,g\n",
            "FILE cannot be read: line 3 has 7 cells, not 5.",
            "Put quotes around texts.",
        ),
        (
            HEAD + "Ada,Lovelace,ada@example.org,ada,notes,more\n",
            "FILE cannot be read: its lines have more cells than its first line has names.",
            "Columns: firstname, lastname, email, name, hidden_notes.",
        ),
        ("name,Name,email\na,b,a@example.org\n", "FILE has the column name twice.", "Remove one."),
        (
            HEAD + "A,B,=1+1@example.org,a,\nA,B,+b@example.org,b,\n",
            "FILE cannot be used:\n"
            "  line 2: the email '=1+1@example.org' is a formula to spreadsheets.\n"
            "  line 3: the email '+b@example.org' is a formula to spreadsheets.",
            "Mend it; nothing is done.",
        ),
        (
            "\n\n" + HEAD + "\n" + ADA + '\n ,,,,\n"a\nb",L,b@example.org,b,\nA,B,bad,c,\n',
            "FILE cannot be used:\n"
            "  line 8: the firstname 'a\\nb' cannot be stored.\n"
            "  line 10: 'bad' is not a mail address.",
            "Mend it; nothing is done.",
        ),
        (
            HEAD + "Ada,L,ada,ada,\n=1+1,@x,b@example.org,b,-3\nA,B,c@example.org,c d,\n",
            "FILE cannot be used:\n"
            "  line 2: 'ada' is not a mail address.\n"
            "  line 3: the firstname '=1+1' is a formula to spreadsheets.\n"
            "  line 3: the lastname '@x' is a formula to spreadsheets.\n"
            "  line 3: the hidden_notes '-3' is a formula to spreadsheets.\n"
            "  line 4: 'c d' cannot be the name of a user.",
            "Mend it; nothing is done.",
        ),
        (
            HEAD + ADA + ADA,
            "FILE cannot be used:\n  line 3: the name ada is in line 2 already.\n"
            "  line 3: the mail address ada@example.org is in line 2 already.",
            "Mend it; nothing is done.",
        ),
        (
            HEAD + "Ada,L,ADA@example.org,ada2,\n" + ADA,
            "FILE cannot be used:\n"
            "  line 3: the mail address ada@example.org is in line 2 already.",
            "Mend it; nothing is done.",
        ),
    ],
)
def test_what_is_wrong_is_told_at_once(file: Path, text: str, message: str, hint: str) -> None:
    assert refused(file, text) == (message, hint)


def test_many_faults_are_cut(file: Path) -> None:
    rows = "".join(f"A,B,bad,n{number},\n" for number in range(30))
    message, _ = refused(file, HEAD + rows)
    assert message.count("\n") == 1 + roster.SHOWN + 1 - 1
    assert message.endswith("and 39 more")


def test_lines_that_are_empty_are_nobody(file: Path) -> None:
    assert read(file, "\n" + HEAD + "\n,,,,\n" + ADA + " \n,,,,\n")[0].line == 5
    spaces = "\nname email\n\n  \nada ada@example.org\n\n"
    assert [row.line for row in read(file, spaces)] == [5]


def test_a_file_without_an_end_is_not_read_to_it() -> None:
    with pytest.raises(InvalidValue) as caught:
        roster.read(Path("/dev/zero"))
    assert str(caught.value) == "/dev/zero has over 20000000 bytes.\nIs it a table of people?"


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(
        InvalidValue, match=r"cannot be read: No such file or directory\.\nCheck the path"
    ):
        roster.read(file)


def test_passwords_are_for_their_owner_alone(file: Path, tmp_path: Path) -> None:
    file.write_text(HEAD + ADA + EMMY)
    out = tmp_path / "people.csv.w_pwd"
    roster.write_passwords(roster.read(file), out)
    assert out.stat().st_mode & 0o777 == 0o600
    rows = roster.read(out, with_passwords=True).rows
    assert [row.name for row in rows] == ["ada", "emmy"]
    assert len({row.password for row in rows}) == 2 and all(len(row.password) == 16 for row in rows)
    before = out.read_bytes()
    with pytest.raises(AlreadyThere, match=r"is there already\.\nIts passwords may be in use"):
        roster.write_passwords(roster.read(file), out)
    assert out.read_bytes() == before
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AlreadyThere):
        roster.write_passwords(roster.read(file), link)
    assert not (tmp_path / "elsewhere").exists()
    out.chmod(0o640)
    with pytest.raises(InvalidValue) as caught:
        roster.read(out, with_passwords=True)
    assert str(caught.value) == (
        f"{out} has passwords, and others may read it.\nThen: chmod 600 {out}"
    )


@pytest.mark.parametrize("password", ["", "short", "x" * 1001])
def test_a_password_that_cannot_be_one_is_told_but_not_shown(file: Path, password: str) -> None:
    file.write_text(f"name,email,password\nada,ada@example.org,{password}\n")
    file.chmod(0o600)
    with pytest.raises(InvalidValue) as caught:
        roster.read(file, with_passwords=True)
    said = f"{file} cannot be used:\n  line 2: the password of ada is too short, or too long."
    assert caught.value.message == said


def test_a_full_disk_leaves_no_half_of_the_passwords(file: Path, tmp_path: Path) -> None:
    rows = "".join(f"A,B,user{number}@example.org,user{number},\n" for number in range(1000))
    file.write_text(HEAD + rows)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))  # as good as a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            roster.write_passwords(roster.read(file), tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not (tmp_path / "out").exists()


def test_new_passwords_are_hard_to_guess() -> None:
    many = {roster.new_password() for _ in range(1000)}
    assert len(many) == 1000
    assert all(set(password) <= set(roster.ALPHABET) for password in many)
    assert len(roster.ALPHABET) ** 16 > 2**90
