"""Every command, and each mistake at it: what is typed, and the exact sentence that is told.

`{world}` is the deployment of `test_commands.py`.
"""

from databoard import config, manifest
from databoard.fleet import inventory

ADMIN = "fetch-problem check-problem prepare-data bundle-problem submit-deposited plan apply "
ADMIN += "environments "
ADMIN += "add-workflow-element-type add-workflow add-score-type add-problem add-event create-user "
ADMIN += "approve-user sign-up-team submit submit-starting-kit train-test set-state "
ADMIN += "print-submissions leaderboard update-event list-workflow-element-types list-workflows "
ADMIN += "list-score-types list-problems list-events list-users list-teams keywords add-keyword "
ADMIN += "set-keywords delete-submission delete-event-team delete-event delete-problem withdraw "
ADMIN += "cancel credit exclude-from-ensemble score-submission reproduce export-leaderboards "
ADMIN += "update-leaderboards add-team add-member set-access-level make-event-admin "
ADMIN += "generate-single-password generate-passwords add-users-from-file "
ADMIN += "sign-up-event-users-from-file compute-contributivity "
ADMIN += "delete-user add-test-users send-password-mail send-password-mails"
FLEET = "publish-software publish-problem rollback releases status check restart reload logs "
FLEET += "maintenance unlock set-up-host install-cron run-on inventory lab-up lab-down"
BACKUPS = "backup backups verify-backup check-backups prune-backups restore get-prod-db "
BACKUPS += "prod-db-to-test"
OPS = "backend-train-test-loop db-upgrade db-migrate db-current db-dump db-restore "
OPS += "test-setup demo serve test"
TABLE = " ".join((ADMIN, FLEET, BACKUPS, OPS)).split(" ")

LETTERS = "Use letters, digits, '_', '-' and single '.', beginning with a letter, digit or '_'."
NUMBER = "Use a number; inf is one."
COUNT = "Use a whole number from 1 to 2147483647."
BOOLEAN = "Use True or False (or 1/0, yes/no)."
NAMES = "Write names with commas between them, each once."
OTHER = "Choose another name."
EVENT = "There is no event 'autum'.\nDid you mean autumn?"
NO_KIT = "There is no kit titanic in {world}/ramp-kits.\nGet it: inv fetch-problem titanic"
BROKEN = "problem.py lacks get_cv.\nThere is no data in {world}/ramp-kits/broken/data: "
BROKEN += "inv prepare-data broken\nMend it in {world}/ramp-kits/broken."
NO_FILE = "The requirements 'nowhere' cannot be read: No such file or directory.\n"
NO_FILE += "Give a text file with a package on each line."
NO_MANIFEST = "There is no manifest 'titanik' in databoard/specific/events.\n"
NO_MANIFEST += f"Did you mean 'titanic'? Manifests: {', '.join(manifest.names())}."
NO_USER = "There is no user 'safron'.\nDid you mean saffron?"
NO_MAIL_SERVER = "DATABOARD_SMTP_URL names no mail server.\nWrite "
NO_MAIL_SERVER += "smtp://USER:PASSWORD@HOST:587 (STARTTLS) or smtps://USER:PASSWORD@HOST:465."
NO_TEAM = "There is no team 'safron'.\nDid you mean saffron?"
TITLE = "Use 1 to 200 characters on one line."
STATES = (
    "States: new, training, trained, validated, tested, scored, training_error, "
    "validating_error, testing_error, scoring_error, checking_error, deleted."
)
BOARDS = "These options do not go together.\nChoose one of --new, --failed, --private and/or "
BOARDS += "--competition; --json or --csv."
STARTING_KIT = "{world}/ramp-kits/small/submissions/starting_kit"


def missing(command: str, *names: str) -> str:
    listed = ", ".join(f"'{name}'" for name in names)
    return (
        f"'{command}' did not receive required positional arguments: {listed}\n"
        f"See: inv {command} --help"
    )


def unknown(command: str, typed: str) -> str:
    return f"No idea what '{typed}' is!\nSee: inv {command} --help"


NO_SUBMISSION = "The team saffron has no submission 'frist' in autumn.\n"
NO_SUBMISSION += "See: inv print-submissions autumn"
NO_SIGN_UP = "The team lovage is not signed up to autumn.\nSee: inv list-teams"
NO_PROBLEM = "There is no problem 'smal'.\nDid you mean small?"
WRITE_TIME = "Write a time as 2026-11-30T18:00 (UTC) or 2026-11-30T18:00+01:00, or none."
CREDIT = "Write TEAM/SUBMISSION=SHARE, with commas between several, each once; or none."
SHARE = "Use a number above 0, at most 1."
ON_ONE = {
    ("autum", "saffron", "first"): EVENT,
    ("autumn", "safron", "first"): NO_TEAM,
    ("autumn", "saffron", "frist"): NO_SUBMISSION,
}
NO_TARGET = (
    "No target is named.\nAdd --target=local, =production or =test, or set DATABOARD_TARGET."
)
NO_INVENTORY = "There is no inventory 'prodction' in inventories.\nDid you mean 'production'? "
NO_INVENTORY += f"Inventories: {', '.join(inventory.names())}."
NO_HOST = "There is no host 'web9' in the inventory production.\nDid you mean 'web2'? Hosts: "
NO_HOST += "web1, web2, db1."

MISTAKES: dict[str, dict[tuple[str, ...], str]] = {
    "": {
        ("leaderbord",): "No idea what 'leaderbord' is!\nDid you mean inv leaderboard?",
        ("xyz",): "No idea what 'xyz' is!\nSee: inv --list",
        ("--xyz",): "No idea what '--xyz' is!\nSee: inv --list",
    },
    "add-workflow-element-type": {
        (): missing("add-workflow-element-type", "name", "kind"),
        ("a",): missing("add-workflow-element-type", "kind"),
        ("a", "code", "b"): unknown("add-workflow-element-type", "b"),
        ("a", "program"): "'program' is no kind of workflow element.\nUse one of code, data, text.",
        ("estimator", "code"): f"There is already a workflow element type estimator.\n{OTHER}",
        ("a/b", "code"): f"'a/b' cannot be the name of a workflow element type.\n{LETTERS}",
        ("\udcff", "code"): "'\\udcff' cannot be the name of a workflow element type.\n" + LETTERS,
    },
    "add-workflow": {
        ("New", ""): f"The list of elements is ''.\n{NAMES}",
        ("New", "estimator,,x"): f"The list of elements is 'estimator,,x'.\n{NAMES}",
        ("New", "estimator,estimator"): "The list of elements is 'estimator,estimator'.\n" + NAMES,
        ("New", "estimatr"): "There is no workflow element type 'estimatr'.\n"
        "Did you mean estimator?",
        ("New", "estimator,x"): "There is no workflow element type 'x'.\n"
        "Add it with: inv add-workflow-element-type",
        ("Workflow", "estimator"): f"There is already a workflow Workflow.\n{OTHER}",
        ("..", "estimator"): f"'..' cannot be the name of a workflow.\n{LETTERS}",
        ("New",): "There is no workflow 'New' in databoard/specific/workflows.\nPlug-ins: none.",
    },
    "fetch-problem": {
        ("new", "--url=ext::sh"): "'ext::sh' is no repository.\n"
        "Give https://host/path, ssh://host/path, user@host:path or a folder here.",
        ("new", "--revision=a..b"): "'a..b' is no revision.\nGive a commit, a tag or a branch.",
        ("small",): "The kit small was put into {world}/ramp-kits/small by hand.\n"
        "Move it away, then fetch it.",
        ("../small",): f"'../small' cannot be the name of a problem.\n{LETTERS}",
    },
    "check-problem": {
        ("titanic",): NO_KIT,
        ("broken",): BROKEN,
        ("small", "--requirements=nowhere"): NO_FILE,
        ("/etc",): f"'/etc' cannot be the name of a problem.\n{LETTERS}",
    },
    "prepare-data": {
        ("titanic",): NO_KIT,
        ("..",): f"'..' cannot be the name of a problem.\n{LETTERS}",
    },
    "bundle-problem": {
        ("titanic",): NO_KIT,
        ("../small",): f"'../small' cannot be the name of a problem.\n{LETTERS}",
    },
    "submit-deposited": {
        ("autum",): EVENT,
        ("autumn",): "The kit small brings no submissions along.\n"
        "Put them into {world}/ramp-kits/small/deposited_submissions/TEAM/NAME/.",
    },
    "add-team": {
        ("new", "safron"): "There is no user 'safron'.\nDid you mean saffron?",
        ("saffron", "lovage"): f"There is already a team saffron.\n{OTHER}",
        ("new", ""): f"The list of members is ''.\n{NAMES}",
    },
    "add-member": {
        ("safron", "lovage"): NO_TEAM,
        ("saffron", "lovage"): "The team saffron is that of the user of this name.\n"
        "Make another one: inv add-team NAME saffron,lovage",
    },
    "set-access-level": {
        ("saffron", "root"): "'root' is no access level.\n"
        "Use one of not_confirmed, asked, user, admin.",
    },
    "make-event-admin": {("autum", "saffron"): EVENT},
    "generate-single-password": {("--long",): unknown("generate-single-password", "--long")},
    "generate-passwords": {
        ("/nowhere", "out"): "/nowhere cannot be read: No such file or directory.\nCheck the path.",
    },
    "add-users-from-file": {
        ("/dev/null", "out"): "/dev/null is empty.\n"
        "Its first line is: firstname,lastname,email,name,hidden_notes",
    },
    "sign-up-event-users-from-file": {
        (
            "/nowhere",
            "autumn",
        ): "/nowhere cannot be read: No such file or directory.\nCheck the path.",
    },
    "environments": {("--all",): unknown("environments", "--all")},
    "plan": {("titanik",): NO_MANIFEST},
    "apply": {("titanik",): NO_MANIFEST},
    "add-score-type": {
        ("a", "0", "1"): (
            "The bounds of a are missing.\nGive minimum and maximum; inf is a number."
        ),
        ("a",): "There is no score type 'a' in databoard/specific/score_types.\nPlug-ins: none.",
        ("a", "0", "0", "1", "--force"): unknown("add-score-type", "--force"),
        ("a", "maybe", "0", "1"): f"is_lower_the_better is 'maybe'.\n{BOOLEAN}",
        ("a", "0", "low", "1"): f"The minimum is 'low'.\n{NUMBER}",
        ("a", "0", "0", "nan"): f"The maximum is 'nan'.\n{NUMBER}",
        ("a", "0", "1", "-1"): "The minimum 1.0 of a is not below its maximum -1.0.\n"
        "Give the minimum first.",
        ("a", "0", "inf", "-inf"): "The minimum inf of a is not below its maximum -inf.\n"
        "Give the minimum first.",
        ("acc", "0", "0", "1"): f"There is already a score type acc.\n{OTHER}",
        ("a\x1b[31m", "0", "0", "1"): "'a\\x1b[31m' cannot be the name of a score type.\n"
        + LETTERS,
    },
    "add-problem": {
        ("small",): "There is already a problem small.\n"
        "Choose another name, or read it again with --force.",
        ("titanic",): "There is no kit titanic in {world}/ramp-kits.\n"
        "Get it: inv fetch-problem titanic",
        ("broken",): "problem.py of the kit broken lacks get_cv.\nEvery kit defines: "
        "problem_title, Predictions, workflow, score_types, get_cv, get_train_data, "
        "get_test_data.",
        ("../small",): f"'../small' cannot be the name of a problem.\n{LETTERS}",
        ("x" * 81,): "The problem name is 81 characters long: 'xxxxxxxxxxxxxxxxxxxx'…\n"
        "Choose a name of at most 80 characters.",
    },
    "add-event": {
        (): missing("add-event", "problem"),
        ("small", "autumn"): "There is already an event autumn.\n"
        "Choose another name, or change it with --force.",
        ("smal",): "There is no problem 'smal'.\nDid you mean small?",
        ("broken",): "There is no problem 'broken'.\nAdd it with: inv add-problem",
        ("small", "a/b"): f"'a/b' cannot be the name of an event.\n{LETTERS}",
        ("small", "a", "b\nc"): f"'b\\nc' cannot be the title of an event.\n{TITLE}",
        ("small", "a", "\udcff"): f"'\\udcff' cannot be the title of an event.\n{TITLE}",
        ("small", "a", "x" * 201): f"'{'x' * 40}' cannot be the title of an event.\n{TITLE}",
        ("small", "a", "b", "c"): unknown("add-event", "c"),
        ("small", "a", "--time-limit", "0"): f"The time limit is '0'.\n{COUNT}",
        ("small", "a", "--time-limit=-5"): f"The time limit is '-5'.\n{COUNT}",
        ("small", "a", "--memory-limit", "9" * 20): f"The memory limit is '{'9' * 20}'.\n{COUNT}",
        ("small", "a", "--memory-limit"): "--memory-limit needs a value.\n"
        "See: inv add-event --help",
    },
    "create-user": {
        ("tarragon",): missing("create-user", "email"),
        ("saffron", "a@example.org"): f"There is already a user saffron.\n{OTHER}",
        ("a b", "a@example.org"): f"'a b' cannot be the name of a user.\n{LETTERS}",
        (
            "tarragon",
            "here",
        ): "'here' is not a mail address.\n"
        "Write name@host.domain in ASCII; a host of other letters begins with xn--.",
        ("tarragon", "Saffron@Example.org"): "The mail address saffron@example.org already "
        "belongs to the user saffron.\nUse that account, or another address.",
        ("tarragon", "a@example.org", "--password"): "The password is too short.\n"
        "Use at least 8 characters.",
    },
    "approve-user": {
        ("juniperr",): "There is no user 'juniperr'.\nDid you mean juniper?",
        ("saffron",): "The user saffron is already approved.\nThere is nothing to do.",
        ("\udcff",): "'\\udcff' is not text.\nType it in UTF-8.",
    },
    "sign-up-team": {
        ("autum", "saffron"): EVENT,
        ("autumn", "safron"): NO_TEAM,
        ("autumn", "saffron"): "The team saffron is already signed up to autumn.\n"
        "There is nothing to do.",
        ("autumn", "juniper"): "juniper of the team juniper is not approved.\n"
        "Approve first: inv approve-user juniper",
    },
    "submit": {
        ("autumn", "saffron", "a"): missing("submit", "path"),
        ("autum", "saffron", "a", STARTING_KIT): EVENT,
        ("autumn", "lovage", "a", STARTING_KIT): "The team lovage is not signed up to autumn.\n"
        "Sign it up: inv sign-up-team autumn lovage",
        ("autumn", "saffron", "ranked", STARTING_KIT): "The team saffron already has a submission "
        f"ranked in autumn.\n{OTHER}",
        ("autumn", "saffron", "..", STARTING_KIT): "'..' cannot be the name of a submission.\n"
        + LETTERS,
        ("autumn", "saffron", "a", "/nowhere"): "There is no folder /nowhere.\n"
        "Give the folder with the files.",
        ("autumn", "saffron", "a", "{world}/ramp-data"): "The submission has no file "
        "estimator.py.\nThe workflow Workflow wants one file for each of: estimator.",
        ("autumn", "saffron", "a", "{world}/ramp-kits/small/problem.py"): "The submission has no "
        "file estimator.py.\nThe workflow Workflow wants one file for each of: estimator.",
        ("autumn", "saffron", "a", "x" * 300): f"File name too long: {'x' * 300}\nCheck the path.",
    },
    "submit-starting-kit": {
        ("autumn", "safron"): NO_TEAM,
        ("autumn", "lovage"): "The team lovage is not signed up to autumn.\n"
        "Sign it up: inv sign-up-team autumn lovage",
    },
    "train-test": {
        ("autum",): EVENT,
        ("autumn", "--team", "safron"): NO_TEAM,
        ("autumn", "--state", "lost"): f"'lost' is no state of a submission.\n{STATES}",
        ("autumn", "--jobs", "0"): f"The number of jobs is '0'.\n{COUNT}",
    },
    "backend-train-test-loop": {
        ("autum",): EVENT,
        ("autumn", "spring"): unknown("backend-train-test-loop", "spring"),
        ("--timeout", "inf"): "The timeout is inf.\nUse a number of seconds above 0.",
        ("--timeout", "-1"): "The timeout is -1.\nUse a number of seconds above 0.",
        ("--timeout", "soon"): f"The timeout is 'soon'.\n{NUMBER}",
        ("autumn", "--jobs", "many"): f"The number of jobs is 'many'.\n{COUNT}",
    },
    "set-state": {
        ("autumn", "saffron", "frist", "new"): "The team saffron has no submission 'frist' in "
        "autumn.\nSee: inv print-submissions autumn",
        ("autumn", "saffron", "first", "lost"): f"'lost' is no state of a submission.\n{STATES}",
        ("autumn", "saffron", "first", "scored"): "The state scored is reached by training, not "
        "by hand.\nSet one of: new, deleted.",
        ("autumn", "saffron", "first", "new"): "The submission first is new; it cannot become "
        "new.\nFrom new it goes to: training, deleted.",
    },
    "print-submissions": {
        ("autum",): EVENT,
        ("autumn", "--team", "safron"): NO_TEAM,
        ("autumn", "--state", "lost"): f"'lost' is no state of a submission.\n{STATES}",
    },
    "compute-contributivity": {
        ("autum",): EVENT,
        ("autumn", "--min-improvement", "much"): f"The minimum improvement is 'much'.\n{NUMBER}",
        ("autumn", "--min-improvement", "-1"): "The minimum improvement is -1.0.\n"
        "Use a number from 0 on.",
    },
    "leaderboard": {
        ("autum",): EVENT,
        ("xyz\x1b[2J",): "There is no event 'xyz\\x1b[2J'.\nAdd it with: inv add-event",
        ("autumn", "--json", "--csv"): BOARDS,
        ("autumn", "--new", "--failed"): BOARDS,
        ("autumn", "--new", "--private"): BOARDS,
        ("autumn", "--kind", "median"): "'median' is no kind of score.\nUse bag or mean.",
        ("autumn", "--limit", "-3"): f"The limit is '-3'.\n{COUNT}",
        ("autumn", "--limit", "1e3"): f"The limit is '1e3'.\n{COUNT}",
        ("autumn", "--xml"): unknown("leaderboard", "--xml"),
    },
    "update-event": {
        ("autum",): EVENT,
        ("autumn", "--title= "): f"'' cannot be the title of an event.\n{TITLE}",
        ("autumn", "--max-members=0"): f"The setting max_members is '0'.\n{COUNT}",
        ("autumn", "--min-seconds=-1"): "The setting min_seconds is '-1'.\n"
        "Use a whole number from 0 to 2147483647.",
        ("autumn", "--is-public=maybe"): f"The setting is_public is 'maybe'.\n{BOOLEAN}",
        ("autumn", "--opening-at=soon"): f"The setting opening_at is 'soon'.\n{WRITE_TIME}",
        ("autumn", "--closing-at=0001-01-01T00:00+01:00"): "The setting closing_at is "
        f"'0001-01-01T00:00+01:00'.\n{WRITE_TIME}",
        ("autumn", "--opening-at=2026-12-01", "--closing-at=2026-11-30T23:30-00:30"): "The closing "
        "of autumn at 2026-12-01 00:00 UTC is not after its opening at 2026-12-01 00:00 UTC.\n"
        "Change both at once, or clear one with none.",
        ("autumn", "--title=Fall", "--official-score=auc"): "The event autumn has no score type "
        "'auc'.\nIt has acc.",
        ("autumn", "--score-kind=median"): "'median' is no kind of score.\nUse bag or mean.",
        ("autumn", "--time-limit=1.5"): f"The setting time_limit is '1.5'.\n{COUNT}",
    },
    **{
        name: {("now",): unknown(name, "now")}
        for name in (
            *("list-workflow-element-types", "list-workflows", "list-score-types"),
            *("list-problems", "list-events", "list-users", "list-teams", "keywords"),
        )
    },
    "add-keyword": {
        ("space", "topic"): "'topic' is no kind of keyword.\n"
        "Use one of data_domain, data_science_theme.",
        ("a b", "data_domain"): f"'a b' cannot be the name of a keyword.\n{LETTERS}",
        ("space", "data_domain", "a\nb"): "'a\\nb' cannot be the title of a keyword.\n" + TITLE,
    },
    "set-keywords": {
        ("smal", "space"): NO_PROBLEM,
        ("small", "space"): "There is no keyword 'space'.\nAdd it with: inv add-keyword",
        ("small", "a,a"): f"The list of keywords is 'a,a'.\n{NAMES}",
    },
    "delete-submission": {**ON_ONE},
    "delete-event-team": {
        ("autum", "saffron"): EVENT,
        ("autumn", "safron"): NO_TEAM,
        ("autumn", "lovage"): NO_SIGN_UP,
    },
    "delete-event": {
        ("autum",): EVENT,
        ("autum", "--yes"): EVENT,
        ("xyz",): "There is no event 'xyz'.\nSee: inv list-events",
    },
    "delete-problem": {("smal",): NO_PROBLEM, ("smal", "--from-disk"): NO_PROBLEM},
    "withdraw": {**ON_ONE},
    "cancel": {
        **ON_ONE,
        ("autumn",): "Nothing of that is being trained.\n"
        "What waits is taken back with: inv withdraw autumn TEAM SUBMISSION",
    },
    "exclude-from-ensemble": {**ON_ONE},
    "credit": {
        **ON_ONE,
        ("autumn", "saffron", "ranked", "first=0.5"): f"'first=0.5' is no credit.\n{CREDIT}",
        ("autumn", "saffron", "ranked", "a/b=1,a/b=1"): f"'a/b=1' is no credit.\n{CREDIT}",
        ("autumn", "saffron", "ranked", "a/b=x"): f"The share of a/b is 'x'.\n{NUMBER}",
        ("autumn", "saffron", "ranked", "a/b=0"): f"The share of 'a/b' is 0.\n{SHARE}",
        ("autumn", "saffron", "ranked", "a/b=1.5"): f"The share of 'a/b' is 1.5.\n{SHARE}",
        ("autumn", "saffron", "ranked", "a/b=.6,a/c=.6"): "The shares add up to 1.2.\n"
        "They are at most 1 together.",
        ("autumn", "saffron", "first", "saffron/ranked=1"): "'saffron/ranked' is no submission "
        "from before first.\nCredit what was there before it: inv print-submissions autumn",
        ("autumn", "saffron", "first", "saffron/first=1"): "'saffron/first' is no submission "
        "from before first.\nCredit what was there before it: inv print-submissions autumn",
    },
    "score-submission": {
        **ON_ONE,
        ("autumn", "saffron", "first"): "Nothing of that is scored.\n"
        "Train first: inv train-test autumn",
    },
    "reproduce": {
        **ON_ONE,
        ("autumn", "saffron"): missing("reproduce", "submission"),
        ("autumn", "saffron", "first"): "The submission first of saffron is new, not scored.\n"
        "See: inv print-submissions autumn",
        ("autumn", "saffron", "ranked"): "The submission ranked of saffron was scored before run "
        "records were kept.\nTrain it again, which replaces its scores: inv set-state autumn "
        "saffron ranked new",
    },
    "delete-user": {
        (): missing("delete-user", "name"),
        ("safron",): NO_USER,
        ("safron", "--yes"): NO_USER,
        ("xyz",): "There is no user 'xyz'.\nSee: inv list-users",
    },
    "add-test-users": {
        ("{world}/out", "--count=0"): "The number of users is '0'.\n"
        "Use a whole number from 1 to 1000.",
        ("/nowhere/out",): "No such file or directory: /nowhere/out\nCheck the path.",
        ("{world}/databoard.db",): "{world}/databoard.db is there already.\n"
        "Its passwords may be in use: choose another name.",
    },
    "send-password-mail": {
        (): missing("send-password-mail", "name"),
        ("saffron",): NO_MAIL_SERVER,
    },
    "send-password-mails": {
        (
            "{world}/no.csv",
        ): "{world}/no.csv cannot be read: No such file or directory.\nCheck the path.",
    },
    "export-leaderboards": {
        ("autum", "boards"): EVENT,
        ("autumn", "/dev/null"): "File exists: /dev/null\nCheck the path.",
    },
    "update-leaderboards": {("autum",): EVENT},
    "db-migrate": {
        (): missing("db-migrate", "message"),
        ("a\nb",): f"'a\\nb' cannot be the title of a migration.\n{TITLE}",
        ("same",): "The models and the database do not differ.\nThere is nothing to migrate.",
    },
    "db-upgrade": {("now",): unknown("db-upgrade", "now")},
    "db-current": {("now",): unknown("db-current", "now")},
    "demo": {
        ("now",): unknown("demo", "now"),
        (): "The database has events of its own: autumn.\nChoose an empty one for made-up teams, "
        "by DATABOARD_DB_URL or DATABOARD_DEPLOYMENT_PATH.",
    },
    "test-setup": {
        (): "test-setup fills the database with made-up teams.\n"
        "Switch to the test deployment first: export DATABOARD_TEST=True",
    },
    "serve": {
        ("--port", "0"): "The port is '0'.\nUse a whole number from 1 to 65535.",
        ("--port", "65536"): "The port is '65536'.\nUse a whole number from 1 to 65535.",
        ("--port", "http"): "The port is 'http'.\nUse a whole number from 1 to 65535.",
        ("--port",): "--port needs a value.\nSee: inv serve --help",
    },
    "lab-up": {("--count=0",): "--count is '0'.\nUse a whole number from 1 to 200."},
    "lab-down": {("now",): unknown("lab-down", "now")},
    "test": {("quickly",): unknown("test", "quickly")},
    "db-dump": {
        (): missing("db-dump", "path"),
        ("{world}/ramp-kits/small/problem.py",): "{world}/ramp-kits/small/problem.py is there "
        "already.\nChoose another name, or add --force.",
    },
    "db-restore": {
        ("{world}/ramp-kits/small/problem.py",): "What is in the database now would be lost.\n"
        "Dump it first; then add --force.",
        ("{world}/no.dump", "--force"): "There is no dump {world}/no.dump.\n"
        "See the folder backups/.",
    },
    "get-prod-db": {("--dump",): "--dump needs a value.\nSee: inv get-prod-db --help"},
    "prod-db-to-test": {
        ("--target=prodction",): NO_INVENTORY,
        ("--admins=ada,,grace",): f"--admins is 'ada,,grace'.\n{NAMES}",
    },
    **{
        name: {
            # what is wrong is told before any host is spoken to
            typed: NO_TARGET,
            (*typed, "--target=prodction"): NO_INVENTORY,
            (*typed, "--target=../production"): f"'../production' cannot be the name of an "
            f"inventory.\n{LETTERS}",
            **({(*typed, "--target=production", "--hosts=web1,web9"): NO_HOST} if hosts else {}),
        }
        for name, typed, hosts in (
            ("publish-software", ("--revision=HEAD",), True),
            ("publish-problem", ("small",), True),
            ("rollback", (), True),
            ("releases", (), True),
            ("status", (), True),
            ("check", (), True),
            ("restart", (), True),
            ("reload", (), True),
            ("logs", (), True),
            ("maintenance", ("on",), True),
            ("unlock", (), True),
            ("set-up-host", (), True),
            ("install-cron", (), True),
            ("run-on", ("all", "--", "true"), False),
            ("inventory", (), True),
        )
    },
}
NO_PLACE = "Write /path, user@host:/path or ssh://user@host:port/path."
NO_STORE = "There is no store at {world}/none, or its disk is not mounted.\n"
NO_STORE += "Mount it. If it is a new one: inv backup --new-store --store={world}/none"
AGE = "Write 90m, 26h or 2d."
MISTAKES |= {
    name: {
        (*typed, "--store={world}/none"): NO_STORE,
        **{
            (*typed, f"--store={store}"): f"The store {store!r} is no place.\n{NO_PLACE}"
            for store in (
                "backups",
                "/a/../b",
                "-x",
                "/a\nb",
                "h:b",
                "-oProxyCommand=x:/b",
                "u@300.1.1.1:/b",
                "ssh://u@h:0/b",
                "ssh://u@h:65536/b",
                "ssh://u@h:x/b",
                "ssh://u:p@h/b",
                "ssh://u@h:22",
                "http://h/b",
                "/a:b",
            )
        },
        (*typed, "--target=prodction"): NO_INVENTORY,
        (*typed, "--target=../production"): f"'../production' cannot be the name of an "
        f"inventory.\n{LETTERS}",
    }
    for name, typed in (
        ("backup", ()),
        ("backups", ()),
        ("verify-backup", ()),
        ("check-backups", ()),
        ("prune-backups", ()),
        ("restore", ("latest",)),
    )
}
MISTAKES["backup"] |= {
    ("--new-store", "--store={world}"): "No store can be made: {world} is not empty.\n"
    "Name a new or an empty folder.",
    ("extra",): unknown("backup", "extra"),
}
MISTAKES["check-backups"] |= {
    (f"--max-age={age}",): f"--max-age is {age!r}.\n{AGE}"
    for age in ("", "26", "h", "-1h", "1.5h", "26H", "26 h", "²h", "1000000d", "1h\n")
} | {("--store={world}-store",): "There is no snapshot."}
MISTAKES["restore"] |= {(): missing("restore", "snapshot")}
MISTAKES["prod-db-to-test"] |= {
    ("--target=production",): "Production is never the destination.\n"
    "Name a test site: inv prod-db-to-test --target=test",
}
MISTAKES["db-upgrade"] |= {("--target=prodction",): NO_INVENTORY}
MISTAKES["db-migrate"] |= {
    ("same", "--target=local"): "The target local has no database behind SSH.\n"
    "Use its database here: DATABOARD_DB_URL=...",
}
MISTAKES["install-cron"] |= {
    (
        "--target=local",
    ): "The local target has no cron jobs.\nRun what you need yourself: inv backup"
}
for name, options in (("restore", ()), ("restore", ("--yes",)), ("verify-backup", ())):
    MISTAKES[name] |= {
        (snapshot, *options, "--store={world}-store"): f"There is no snapshot {snapshot!r} in "
        "{world}-store/local.\nTake one: inv backup"
        for snapshot in (
            "latest",
            "20261101T000000Z",
            "../local",
            ".",
            "*",
            "$(id)",
            "a\nb",
            "\udcff",
        )
    }
MISTAKES["publish-software"] |= {
    ("--target=production", "--serial=0"): f"--serial is '0'.\n{COUNT}",
    ("--target=production", "--max-fail=x"): "--max-fail is 'x'.\n"
    "Use a whole number from 0 to 2147483647.",
    ("--target=production", "--revision=--help"): "There is no revision '--help' in "
    f"{config.ROOT}.\nSee: git log --oneline",
}
MISTAKES["publish-problem"] |= {
    ("--target=production",): missing("publish-problem", "problem"),
    ("../small", "--target=production"): f"'../small' cannot be the name of a problem.\n{LETTERS}",
}
MISTAKES["maintenance"] |= {
    ("of", "--target=production"): "'of' is no state of maintenance.\nSay on or off.",
    ("--target=production",): missing("maintenance", "state"),
}
MISTAKES["run-on"] = {
    ("all", "--target=production"): "No command is named.\ninv run-on web1,web2 -- uptime",
    ("all", "--", "true"): NO_TARGET,
    ("--target=production", "web9", "--", "true"): NO_HOST,
}
