"""Commands of admins: keywords of problems."""

from tasks.command import LEFT_OUT, command, opened


@command(
    help={
        "name": "Name of the keyword.",
        "kind": "data_domain or data_science_theme.",
        "description": "What it means.",
    }
)
def add_keyword(ctx, name, kind, description=LEFT_OUT):
    """Register a data domain or theme."""
    from databoard import catalogue
    from databoard.database import session_scope

    with opened() as (_, engine), session_scope(engine) as session:
        catalogue.add_keyword(session, name, kind, description)
    print(f"Added the keyword {name} ({kind}).")


@command(
    help={
        "problem": "Name of the problem.",
        "names": "All its keywords, with commas between them; none for none.",
    }
)
def set_keywords(ctx, problem, names):
    """Attach keywords to a problem."""
    from databoard import catalogue
    from databoard.database import session_scope
    from databoard.names import as_list

    chosen = [] if names.lower() == "none" else as_list("The list of keywords", names)
    with opened() as (_, engine), session_scope(engine) as session:
        catalogue.set_keywords(session, problem, chosen)
    print(f"The keywords of {problem}: {', '.join(chosen) or 'none'}.")
