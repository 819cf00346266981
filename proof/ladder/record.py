"""Writes the figures of a run into the document."""

import datetime
import os
import platform
import subprocess

from .levels import REPOSITORY

DOCUMENT = REPOSITORY / "docs/reliability.md"
BEGIN, END = "<!-- figures: written by ./prove --record -->", "<!-- end of figures -->"


def write(outcomes):
    """Replaces the part between the marks."""
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table(outcomes)}{END}{after}")


def table(outcomes):
    today = datetime.date.today().isoformat()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True).stdout.strip()
    lines = [
        f"{today}, at {commit}, {os.cpu_count()} cores, {platform.system()} {platform.release()}.",
        "",
        "| level | seed | seconds | figures |",
        "|---|---|---|---|",
    ]
    for outcome in outcomes:
        figures = ", ".join(f"{name} {value}" for name, value in outcome.figures.items())
        verdict = "" if outcome.passed else " **failed**"
        lines.append(f"| `{outcome.level}`{verdict} | {outcome.seed or ''} | {outcome.seconds:.0f} | {figures} |")
    return "\n".join(lines) + "\n"
