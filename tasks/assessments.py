"""Assessments on the store: one Parquet file per frame, below the run's folder."""

from __future__ import annotations

import hashlib
from dataclasses import fields

from engine.assessment import STRESS_FRAME, VENUE_FRAMES, Assessment
from infra.store import Store
from tasks.records import run_folder

FRAMES = tuple(field.name for field in fields(Assessment))


def write_assessment(store: Store, run_id: str, assessment: Assessment) -> dict[str, str]:
    """Write every frame and return its SHA-256 by name.

    Venue frames are kept where there are accounts, the stress grid's where the rules have one.
    """
    left_out = set() if assessment.has_venues else set(VENUE_FRAMES)
    left_out |= set() if assessment.has_stress_grid else {STRESS_FRAME}
    kept = [name for name in FRAMES if name not in left_out]
    return {
        name: store.write_frame(assessment_path(run_id, name), getattr(assessment, name))
        for name in kept
    }


def read_assessment(store: Store, run_id: str, hashes: dict[str, str]) -> Assessment:
    """Return the assessment of a run, refusing a frame that was altered since."""
    frames = {
        name: store.read_frame(assessment_path(run_id, name), content_hash=hashes[name])
        for name in FRAMES
        if name in hashes
    }
    return Assessment(**frames)


def joint_hash(hashes: dict[str, str]) -> str:
    """Return one hash over named hashes, in the order of their names."""
    lines = "".join(f"{name} {hashes[name]}\n" for name in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()


def assessment_path(run_id: str, name: str) -> str:
    """Return where a frame of a run's assessment is kept."""
    return f"{run_folder(run_id)}/assessment/{name}.parquet"
