"""The old frontend with scored submissions; for each line of input the seconds until a score that
has changed is on its leaderboard page. Run by its own Python: URL, kit, number of submissions.
"""

import datetime
import sys
import time

import numpy as np
from ramp_database.model import Model
from ramp_database.tools.leaderboard import update_leaderboards
from ramp_database.tools.user import add_user, approve_user
from ramp_frontend import create_app
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

url, kit, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
engine = create_engine(url)
Model.metadata.create_all(engine)
session = sessionmaker(engine)()
tables, now = Model.metadata.tables, datetime.datetime(2026, 1, 1)


def add(table, rows):
    session.execute(tables[table].insert(), rows)


for name in ("reader", *(f"team{number}" for number in range(10))):
    add_user(session, name, "secret", name, name, f"{name}@example.org", access_level="user")
    approve_user(session, name)
n_folds, scores = 8, ("acc", "nll")
add("workflows", [{"id": 1, "name": "Estimator"}])
add("submission_file_types", [{"id": 1, "name": "code", "is_editable": True, "max_size": 10**6}])
add("extensions", [{"id": 1, "name": "py"}])
add("submission_file_type_extensions", [{"id": 1, "type_id": 1, "extension_id": 1}])
add("workflow_element_types", [{"id": 1, "name": "estimator", "type_id": 1}])
add(
    "workflow_elements",
    [{"id": 1, "name": "estimator", "workflow_id": 1, "workflow_element_type_id": 1}],
)
add(
    "problems",
    [{"id": 1, "name": "iris", "workflow_id": 1, "path_ramp_kit": kit, "path_ramp_data": kit}],
)
add(
    "events",
    [
        {
            "id": 1,
            "name": "e",
            "title": "E",
            "problem_id": 1,
            "is_public": True,
            "official_score_name": "acc",
            "ramp_sandbox_name": "starting_kit",
            "path_ramp_submissions": kit,
        }
    ],
)
for number, name in enumerate(scores, 1):
    add(
        "score_types",
        [{"id": number, "name": name, "is_lower_the_better": False, "minimum": 0, "maximum": 1}],
    )
    add(
        "event_score_types",
        [{"id": number, "name": name, "event_id": 1, "score_type_id": number, "precision": 3}],
    )
empty = np.arange(3)
folds = range(1, n_folds + 1)
add(
    "cv_folds", [{"id": fold, "event_id": 1, "train_is": empty, "test_is": empty} for fold in folds]
)
teams = [row[0] for row in session.execute("SELECT id FROM teams")]
add(
    "event_teams",
    [
        {"id": team, "event_id": 1, "team_id": team, "signup_timestamp": now, "approved": True}
        for team in teams
    ],
)
ids = range(1, n + 1)
add(
    "submissions",
    [
        {
            "id": id_,
            "event_team_id": teams[1 + id_ % 10],
            "name": f"s{id_}",
            "hash_": str(id_),
            "submission_timestamp": now,
            "training_timestamp": now,
            "state": "scored",
        }
        for id_ in ids
    ],
)
add(
    "submission_files",
    [
        {
            "id": id_,
            "submission_id": id_,
            "workflow_element_id": 1,
            "submission_file_type_extension_id": 1,
        }
        for id_ in ids
    ],
)
bags = np.linspace(0.5, 0.9, n_folds)
add(
    "submission_scores",
    [
        {
            "submission_id": id_,
            "event_score_type_id": score,
            "valid_score_cv_bag": 0.9,
            "test_score_cv_bag": 0.9,
            "valid_score_cv_bags": bags,
            "test_score_cv_bags": bags,
        }
        for id_ in ids
        for score in (1, 2)
    ],
)
runs = [(id_, fold) for id_ in ids for fold in folds]
add(
    "submission_on_cv_folds",
    [
        {
            "id": number,
            "submission_id": id_,
            "cv_fold_id": fold,
            "state": "scored",
            "train_time": 1.0,
            "valid_time": 1.0,
            "test_time": 1.0,
        }
        for number, (id_, fold) in enumerate(runs, 1)
    ],
)
session.flush()
score_ids = dict(
    (tuple(row[:2]), row[2])
    for row in session.execute(
        "SELECT submission_id, event_score_type_id, id FROM submission_scores"
    )
)
add(
    "submission_score_on_cv_folds",
    [
        {
            "submission_score_id": score_ids[id_, score],
            "submission_on_cv_fold_id": number,
            "train_score": 0.9,
            "valid_score": 0.8,
            "test_score": 0.7,
        }
        for number, (id_, _) in enumerate(runs, 1)
        for score in (1, 2)
    ],
)
session.commit()
session.close()

app = create_app(
    {
        "SECRET_KEY": "x",
        "WTF_CSRF_ENABLED": False,
        "LOGIN_DISABLED": False,
        "TRACK_USER_INTERACTION": False,
        "TRACK_CREDITS": False,
        "DOMAIN_NAME": "localhost",
        "MAIL_RECIPIENTS": [],
        "SQLALCHEMY_DATABASE_URI": url,
        "SQLALCHEMY_TRACK_MODIFICATIONS": False,
        "THREADPOOL_MAX_WORKERS": 2,
    }
)
with app.test_client() as client:
    client.post("/login", data={"user_name": "reader", "password": "secret"})
    print("ready", flush=True)
    for number, _ in enumerate(sys.stdin):
        mark = round(0.1 + number / 1000, 3)
        begun = time.perf_counter()
        session = sessionmaker(engine)()
        bags_now = tables["submission_scores"].update().where(tables["submission_scores"].c.id == 1)
        session.execute(bags_now.values(valid_score_cv_bags=np.full(n_folds, mark)))
        update_leaderboards(session, "e")
        page = client.get("/events/e/leaderboard").get_data(as_text=True)
        taken = time.perf_counter() - begun
        if str(mark) not in page:
            sys.exit("The score is not on the page.")
        print(taken, flush=True)
