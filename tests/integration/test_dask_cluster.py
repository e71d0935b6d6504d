"""Blocks come back complete and in order, whatever happens to the workers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.errors import ModelInputError
from tasks.cluster import ClusterOptions, close_clusters, connect
from tasks.failures import InfrastructureError
from tasks.fan_out import FanOut, LostBlock, fan_out
from tests.integration import dask_work

TWO_WORKERS = ClusterOptions(n_workers=2, memory_limit="512MiB")


@pytest.fixture(scope="module", autouse=True)
def clusters_close() -> Iterator[None]:
    yield
    close_clusters()


def test_answers_come_in_the_order_of_the_blocks_with_equal_bytes_for_any_number_of_workers() -> (
    None
):
    shared = np.random.default_rng(7).normal(size=5_000)
    blocks = [tuple(range(start, start + 5)) for start in range(0, 200, 5)]
    here = [dask_work.weighted_sums(shared, block) for block in blocks]
    work = FanOut("sums", dask_work.weighted_sums, shared, blocks)
    assert fan_out(work, TWO_WORKERS) == here
    assert fan_out(work, ClusterOptions(n_workers=1, memory_limit="512MiB")) == here


def test_both_workers_compute_and_this_process_does_not() -> None:
    # A cluster that no other test has killed workers of, and work for longer than a busy machine
    # may need to give the second worker its first block.
    untouched = ClusterOptions(n_workers=2, memory_limit="640MiB")
    work = FanOut("who", dask_work.process_of, None, list(range(60)))
    processes = set(fan_out(work, untouched))
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_blocks_of_a_killed_worker_are_computed_again(tmp_path: Path) -> None:
    marker = tmp_path / "killed"
    work = FanOut("kill-once", dask_work.kill_own_worker_once, str(marker), list(range(20)))
    answers = fan_out(work, TWO_WORKERS)
    assert marker.exists()
    assert answers == [block * block for block in range(20)]


def test_a_block_that_kills_its_workers_is_lost_while_the_others_finish() -> None:
    work = FanOut("poison", dask_work.kill_every_worker, 2, list(range(6)))
    answers = fan_out(work, TWO_WORKERS)
    lost = answers[2]
    assert isinstance(lost, LostBlock)
    assert lost.reason == "block 2 was given up: 3 Dask workers died while computing it"
    healthy = [answer for index, answer in enumerate(answers) if index != 2]
    assert healthy == [0, 1, 3, 4, 5]


def test_an_error_of_the_work_itself_is_raised_as_it_is() -> None:
    work = FanOut("refuse", dask_work.refuse, None, [1])
    with pytest.raises(ModelInputError, match="block 1 has a bad input"):
        fan_out(work, TWO_WORKERS)


def test_blocks_that_never_end_are_given_up_by_name() -> None:
    options = ClusterOptions(n_workers=1, memory_limit="512MiB", silence_seconds_max=2.0)
    work = FanOut("endless", dask_work.slow, 60.0, list(range(2)))
    reason = "block 1 was given up: no block finished for 2 s"
    assert fan_out(work, options)[1] == LostBlock(reason)


def test_blocks_of_a_scheduler_that_died_are_computed_here() -> None:
    options = ClusterOptions(n_workers=1, memory_limit="514MiB")
    cluster = connect(options).cluster
    threading.Timer(1.0, cluster.close).start()
    work = FanOut("orphans", dask_work.process_of, None, list(range(40)))
    processes = fan_out(work, options)
    assert os.getpid() in processes


def test_a_cluster_that_died_before_the_work_is_replaced() -> None:
    options = ClusterOptions(n_workers=1, memory_limit="513MiB")
    local = connect(options).cluster
    local.close()
    work = FanOut("after-death", dask_work.process_of, None, [1, 2])
    assert len(set(fan_out(work, options))) == 1


def test_an_address_where_no_scheduler_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.cluster._CONNECT_SECONDS_MAX", 1)
    work = FanOut("nowhere", dask_work.process_of, None, [1])
    with pytest.raises(
        InfrastructureError, match=r"no Dask scheduler with workers answers at tcp://127\.0\.0"
    ):
        fan_out(work, ClusterOptions(address="tcp://127.0.0.1:9"))


def test_progress_is_reported_at_the_end_and_rarely() -> None:
    reports: list[int] = []
    work = FanOut("progress", dask_work.process_of, None, list(range(30)))
    started = time.monotonic()
    fan_out(work, TWO_WORKERS, reports.append)
    assert reports[-1] == 30
    assert reports == sorted(reports)
    assert len(reports) <= 2 + (time.monotonic() - started)
