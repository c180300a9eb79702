"""The web pages: what participants see."""

from databoard.web.app import create_app

__all__ = ["create_app"]
