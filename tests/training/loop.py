"""A worker as a process of its own, with a lease of some seconds: for tests that kill it."""

import asyncio
import sys

from databoard import config, database
from databoard.training.worker import Worker

if __name__ == "__main__":
    settings = config.load()
    worker = Worker(
        database.open_engine(settings.db_url), settings, jobs=2, lease_seconds=float(sys.argv[1])
    )
    asyncio.run(worker.serve(pause=0.1))
