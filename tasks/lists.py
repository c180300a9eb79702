"""Commands of admins: lists of what is registered."""

from tasks.command import command, opened

JSON = {"json": "Print JSON."}


@command(help=JSON)
def list_workflow_element_types(ctx, json=False):
    """List the kinds of files of submissions."""
    print_list("workflow_element_types", json)


@command(help=JSON)
def list_workflows(ctx, json=False):
    """List workflows and their elements."""
    print_list("workflows", json)


@command(help=JSON)
def list_score_types(ctx, json=False):
    """List scores, their directions and bounds."""
    print_list("score_types", json)


@command(help=JSON)
def list_problems(ctx, json=False):
    """List problems with their keywords."""
    print_list("problems", json)


@command(help=JSON)
def list_events(ctx, json=False):
    """List events, the newest first."""
    print_list("events", json)


@command(help=JSON)
def list_users(ctx, json=False):
    """List users."""
    print_list("users", json)


@command(help=JSON)
def list_teams(ctx, json=False):
    """List teams and their members."""
    print_list("teams", json)


@command(help=JSON)
def keywords(ctx, json=False):
    """List data domains and themes."""
    print_list("keywords", json)


def print_list(name: str, json: bool) -> None:
    """Print one of the lists of `databoard.listing`."""
    from databoard import listing
    from databoard.database import reading
    from tasks.table import print_board, print_json

    with opened() as (_, engine), reading(engine) as session:
        board = getattr(listing, name)(session)
    (print_json if json else print_board)(board)
