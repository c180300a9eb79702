"""The OpenAPI document is true: routes and answers are as it says, whatever is sent."""

from __future__ import annotations

import re

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.web.board import Site
from tests.web.test_api import Program

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]
# Where what is sent can be against the document: every text is a name.
MAY_BE_WRONG = (
    "GET /api/v1/events/{name}/leaderboards/{kind}",
    "POST /api/v1/events/{name}/submissions",
    "GET /api/v1/submissions/{id}",
    "POST /api/v1/submissions/{id}/{action}",
)


def test_the_document_has_every_route(site: Site) -> None:
    document = Program(site).get("/api/openapi.json")
    described = {(path, method) for path, of in document["paths"].items() for method in of}
    routes = {
        (re.sub(r"<(?:[^:>]*:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in site.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/v1/")
    }
    assert described == routes


@pytest.mark.slow
@pytest.mark.parametrize("who", ["", "saffron"])
def test_whatever_is_sent_is_answered_as_it_says(site: Site, who: str) -> None:
    site.add_scored("saffron", "one")
    headers = Program(site, who).headers
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", site.app)
    seen: set[tuple[str, int]] = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        right, wrong = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

        @settings(
            max_examples=30,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=right | wrong if operation.label in MAY_BE_WRONG else right)
        def answer(case: schemathesis.Case) -> None:
            response = case.call(headers=headers)
            case.validate_response(response, checks=CHECKS)
            seen.add((case.operation.label, response.status_code))

        answer()
    assert len({label for label, _ in seen}) == 8
