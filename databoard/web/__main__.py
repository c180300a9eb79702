"""`python -m databoard.web`: the site's health without a server; exit code 1 when it has none."""

import sys

from databoard import config
from databoard.web import create_app

with create_app(config.load()).test_client() as client:
    response = client.get("/healthz")
print(response.get_data(as_text=True).strip())
sys.exit(response.status_code != 200)
