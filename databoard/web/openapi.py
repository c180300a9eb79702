"""What the API is, in OpenAPI's words: one table, which a test compares with the routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, jsonify
from werkzeug.wrappers import Response

from databoard import __version__
from databoard.leaderboard import BOARDS
from databoard.names import MAX_COUNT

blueprint = Blueprint("openapi", __name__)
Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
MAYBE_COUNT: Schema = {"type": ["integer", "null"]}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


SCHEMAS = {
    "Error": _object(error=TEXT, hint=TEXT),
    "Event": _object(
        name=TEXT,
        title=TEXT,
        problem=TEXT,
        files={"type": "array", "items": TEXT},
        official_score=TEXT,
        min_seconds={"type": "integer"},
        daily_quota=MAYBE_COUNT,
        is_code_open={"type": "boolean"},
        team=MAYBE_TEXT,
        opening_at=MAYBE_TIME,
        public_opening_at=MAYBE_TIME,
        closing_at=MAYBE_TIME,
        frozen_at=MAYBE_TIME,
    ),
    "Submission": _object(
        id={"type": "integer"},
        event=TEXT,
        team=TEXT,
        name=TEXT,
        state=TEXT,
        submitted_at=MAYBE_TIME,
        train_time=MAYBE_NUMBER,
        max_memory=MAYBE_NUMBER,
        contributivity=MAYBE_NUMBER,
        error=MAYBE_TEXT,
    ),
    "Row": _object(team=TEXT, submission=TEXT, id={"type": "integer"}),
    "State": _object(id={"type": "integer"}, state=TEXT),
}
# For who sees its code, when it is asked for alone.
SCHEMAS["Submission"]["properties"] |= {
    "files": {"type": "array", "items": TEXT},
    "record": {"type": ["object", "null"], "additionalProperties": MAYBE_TEXT},
}
PAGE = ("page", {"type": "integer", "minimum": 1}, "Which thousand rows of it.")
FORMAT = ("format", {"type": "string", "enum": ["json", "csv"]}, "JSON, or CSV.")
FORM = {
    "multipart/form-data": {
        "schema": _object(
            name={"type": "string", "description": "Of the submission."},
            file={"type": "string", "format": "binary", "description": "One per element."},
        )
    }
}


@dataclass(frozen=True)
class Operation:
    """One of the API: its answer is a JSON of that schema, or a file."""

    method: str
    path: str
    summary: str
    answer: Schema | None
    status: int = 200
    query: tuple[tuple[str, Schema, str], ...] = ()
    form: Schema | None = None
    refusals: tuple[int, ...] = ()


def _one(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _many(name: str) -> Schema:
    return {"type": "array", "items": _one(name)}


OPERATIONS = (
    Operation("get", "/events", "The events that you see.", _many("Event")),
    Operation("get", "/events/{name}", "An event: its dates and its rules.", _one("Event")),
    Operation(
        "get",
        "/events/{name}/leaderboards/{kind}",
        "A page of a leaderboard; a column for each score.",
        _many("Row"),
        query=(PAGE, FORMAT),
    ),
    Operation(
        "get",
        "/events/{name}/submissions",
        "The submissions of your team, the newest first.",
        _many("Submission"),
    ),
    Operation(
        "post",
        "/events/{name}/submissions",
        "Submit: one file for each element of the workflow.",
        _one("Submission"),
        201,
        form=FORM,
        refusals=(409, 413),
    ),
    Operation("get", "/submissions/{id}", "A submission, with its files.", _one("Submission")),
    Operation("get", "/submissions/{id}/files/{name}", "The content of a file.", None),
    Operation("post", "/submissions/{id}/{action}", "Withdraw it, or cancel it.", _one("State")),
)
IN_PATH: dict[str, Schema] = {
    "name": TEXT,
    "kind": {"type": "string", "enum": list(BOARDS)},
    "id": {"type": "integer", "minimum": 0, "maximum": MAX_COUNT},
    "action": {"type": "string", "enum": ["withdraw", "cancel"]},
}


@blueprint.get("/api/openapi.json")
def document() -> Response:
    """The document."""
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(f"/api/v1{each.path}", {})[each.method] = _described(each)
    bearer = {"type": "http", "scheme": "bearer", "description": "A token of your profile page."}
    return jsonify(
        openapi="3.1.0",
        info={"title": "Databoard", "version": __version__},
        paths=paths,
        security=[{}, {"token": []}],
        components={"schemas": SCHEMAS, "securitySchemes": {"token": bearer}},
    )


def _described(operation: Operation) -> dict[str, Any]:
    in_path = [part.strip("{}") for part in operation.path.split("/") if part.startswith("{")]
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": IN_PATH[name]} for name in in_path
    ]
    parameters += [
        {"name": name, "in": "query", "schema": schema, "description": what}
        for name, schema, what in operation.query
    ]
    refused = {
        str(status): {
            "description": _REFUSALS[status],
            "content": {"application/json": {"schema": _one("Error")}},
        }
        for status in (400, 401, 404, 429, *operation.refusals)
    }
    described = {
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {str(operation.status): _answer(operation), **refused},
    }
    return described | ({"requestBody": {"content": operation.form}} if operation.form else {})


def _answer(operation: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": operation.answer}}
    if operation.answer is None:
        content = {"application/octet-stream": {"schema": {}}}
    elif FORMAT in operation.query:
        content["text/csv"] = {"schema": TEXT}
    return {"description": operation.summary, "content": content}


_REFUSALS = {
    400: "What was sent is not right.",
    401: "The token is nobody's, or one is needed.",
    404: "It is not there, or not for you.",
    409: "The name is taken.",
    413: "It is too large.",
    429: "Too soon, or too often.",
}
