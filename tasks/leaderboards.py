"""Commands of admins: leaderboards."""

from tasks.command import LEFT_OUT, command, opened


@command(
    help={
        "event": "Name of the event.",
        "private": "Show the test scores.",
        "competition": "Show the best submission of each team.",
        "new": "Show what waits for training.",
        "failed": "Show what failed, and why.",
        "kind": "bag or mean; by default as the event has it.",
        "limit": "Show only so many rows.",
        "json": "Print JSON, scores not rounded.",
        "csv": "Print CSV, scores not rounded.",
    }
)
def leaderboard(
    ctx,
    event,
    private=False,
    competition=False,
    new=False,
    failed=False,
    kind=None,
    limit=None,
    json=False,
    csv=False,
):
    """Print a leaderboard of an event."""
    from databoard import contributivity
    from databoard import leaderboard as boards
    from databoard.database import reading
    from databoard.errors import InvalidValue
    from databoard.names import as_count
    from tasks.table import print_board, print_csv, print_json

    if sum((new, failed, private or competition)) > 1 or (json and csv):
        raise InvalidValue(
            "These options do not go together.",
            "Choose one of --new, --failed, --private and/or --competition; --json or --csv.",
        )
    most = None if limit is None else as_count("The limit", limit)
    if kind is not None:
        boards.check_kind(kind)
    with opened() as (_, engine), reading(engine) as session:
        found = boards.load_event(session, event)
        if new:
            board = boards.waiting(session, found)
        elif failed:
            board = boards.failed(session, found)
        elif competition:
            board = boards.competition(session, found, private, kind)
        else:
            board = (boards.private if private else boards.public)(session, found, kind, most)
    rows = board.rows[:most]
    write = print_json if json else print_csv if csv else print_board
    write(boards.Board(board.title, board.columns, rows))
    blended = contributivity.summary(found, with_test=private)
    if blended and write is print_board and not (new or failed):
        print(blended)


@command(help={"event": "Name of the event.", "folder": "Folder for the files; made if need be."})
def export_leaderboards(ctx, event, folder):
    """Write all boards of an event as files."""
    from pathlib import Path

    from databoard import export
    from databoard import leaderboard as boards
    from databoard.database import reading

    with opened() as (_, engine), reading(engine) as session:
        found = boards.load_event(session, event)
        paths = export.export_boards(session, found, Path(folder).expanduser())
    for path in paths:
        print(path)


@command(help={"event": "Name of the event."})
def update_leaderboards(ctx, event=LEFT_OUT):
    """Say why leaderboards need no update."""
    if event:
        from databoard import leaderboard as boards
        from databoard.database import reading

        with opened() as (_, engine), reading(engine) as session:
            boards.load_event(session, event)
    print("There is nothing to update: a leaderboard is a query, and always true.")
