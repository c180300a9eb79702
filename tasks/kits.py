"""Commands of admins: kits, before they are problems."""

from tasks.command import command, opened


@command(
    help={
        "name": "Name of the kit.",
        "url": "A git repository or a folder here; by default that of the ramp-kits collection.",
        "revision": "A commit, a tag or a branch; by default the newest.",
    }
)
def fetch_problem(ctx, name, url="", revision=""):
    """Get a kit with git, or bring it up to date."""
    from databoard import config, kitsource, notebook

    fetched = kitsource.fetch(config.load(), name, url, revision)
    short, before = fetched.revision[:12], fetched.before[:12]
    if before == short:
        print(f"The kit {name} is at {short} already.")
    else:
        print(f"The kit {name} is at {short}{before and f', it was at {before}'}.")
    if note := notebook.render(fetched.folder, name):
        print(f"{name}: {note}")
    print(f"See what it holds: inv check-problem {name}")


PACKAGES = {
    "requirements": "File with the packages that it needs; by default those of its manifest, '': "
    "Databoard's own."
}


def needed(name, requirements) -> str | None:
    """What a kit's environment is made of: as given, or as its manifest says; None: our own."""
    from databoard import manifest
    from tasks.environments import read_requirements

    wanted = read_requirements(requirements)
    return (manifest.environment_of(name) if wanted is None else wanted) or None


def python_for(settings, name, wanted):
    """The Python of a kit's environment, which is made if it is not there."""
    from databoard import environments
    from tasks.environments import showing

    with showing(f"the environment of {name}") as report:
        return environments.ensure(settings, wanted, report)


@command(help={"name": "Name of the kit."} | PACKAGES)
def prepare_data(ctx, name, requirements=None):
    """Make the data of a kit, as the kit says."""
    from databoard import config, kitdata, kits

    settings = config.load()
    kit = kits.place_kit(kits.find_kit(name, settings.kits_path), settings.kits_path)
    made = []
    if kitdata.ways(kit, settings.data_path):
        python = python_for(settings, name, needed(name, requirements))
        made = kitdata.make_data(kit, settings.data_path, python)
    print(f"{name}: made its data with {' and '.join(made)}." if made else f"{name} has its data.")


@command(help={"name": "Name of the kit."})
def bundle_problem(ctx, name):
    """Zip what teams download of a kit."""
    from databoard import config, kitpack

    path, notes = kitpack.bundle(name, config.load())
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    for note in notes:
        print(f"{name}: {note}")


@command(help={"name": "Name of the kit.", "json": "Print JSON."} | PACKAGES)
def check_problem(ctx, name, requirements=None, json=False):
    """Say what is wrong with a kit, or what it is."""
    from databoard import config, kitcheck, kits
    from databoard.errors import KitError

    settings = config.load()
    kit = kits.find_kit(name, settings.kits_path)
    wanted = needed(name, requirements)
    report = kitcheck.check(kit, settings.data_path, python_for(settings, name, wanted))
    if json:
        from dataclasses import asdict
        from json import dumps

        print(dumps(asdict(report), indent=2))
    if report.faults:
        hint = f"Mend it in {kit}."
        if wanted is None and any("Error: " in fault for fault in report.faults):
            hint += f" Needs it older packages? inv check-problem {name} --requirements=FILE"
        raise KitError("\n".join(report.faults), hint)
    if not json:
        print_kit(name, report)


def print_kit(name, report) -> None:
    """The summary of a good kit."""
    from tasks.report import print_table

    summary = report.summary
    elements = ", ".join(f"{element.file_name} ({element.kind})" for element in summary.elements)
    rows = [("title", summary.title), ("workflow", summary.workflow), ("files", elements)]
    for position, score in enumerate(summary.score_types):
        better = "lower" if score.is_lower_the_better else "higher"
        about = f"{score.name}, {better} the better, from {score.minimum} to {score.maximum}"
        rows.append(("score" if position else "official score", about))
    rows += [("folds", str(summary.n_folds)), ("rows", f"{report.n_train}, test {report.n_test}")]
    rows += [("note", note) for note in report.notes]
    print_table(f"The kit {name}", ("what", "value"), rows)


@command(help={"event": "Name of the event."})
def submit_deposited(ctx, event):
    """Submit what a kit brings along."""
    from databoard import deposits
    from databoard.database import session_scope
    from databoard.errors import DataboardError

    with opened() as (settings, engine), session_scope(engine) as session:
        found = deposits.submit_deposited(session, settings, event)
    for deposit in found:
        print(f"{deposit.team}/{deposit.name}: {deposit.error or 'submitted'}")
    failed = sum(deposit.error is not None for deposit in found)
    if failed:
        raise DataboardError(f"{failed} of {len(found)} could not be submitted.")
    if not found:
        print("All of them are there already.")
