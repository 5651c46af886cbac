"""The report of a result: one HTML file with everything in it."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.load import console, pictures
from bench.load.recorder import READS, WRITES
from bench.load.session import Session

FILE = "report.html"
TEMPLATE = "page.html"


def save(session: Session, directory: Path) -> Path:
    """Write the report into the directory of the result."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(ms=console.milliseconds, times=console.times)
    run = session.result.typical()
    path = directory / FILE
    page = environment.get_template(TEMPLATE).render(
        session=session,
        result=session.result,
        run=run,
        kinds=[
            (kind, run.row(kind), [row for row in run.rows if row.kind == kind != row.name]) for kind in (READS, WRITES)
        ],
        notes=list(console.notes(session.result, run)),
        warnings=list(console.warnings(run)),
        machine_notes=[console.machine_note(change) for change in session.machine_changes if change.is_real],
        pictures=_pictures(session),
    )
    path.write_text(page, encoding="utf-8")
    return path


def _pictures(session: Session) -> dict[str, str]:
    """Every picture by its name; the template says where they go."""
    run = session.result.typical()
    found = {
        "latency": pictures.latency_over_time(run),
        "distribution": pictures.distribution(run),
        "throughput": pictures.throughput(run),
        "groups": pictures.groups_and_queues(run),
        "memory": pictures.memory_and_processor(run),
    }
    if session.steps:
        found["ramp"] = pictures.ramp(session.steps, session.limits)
    if session.changes:
        found["changes"] = pictures.changes(session.changes)
    return found
