"""Asks whether a locked release has a known vulnerability, and says so if the service could not be asked.

`pip-audit` passes what its database does not know, and without a network it knows nothing: that is "not audited", and
never "none found".
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

_LOCK = Path(__file__).parents[1] / "requirements-dev.txt"


def main() -> int:
    """Print one line for each vulnerability, or what was found instead; 1 where there is one, or only a part was told."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--disable-pip", "--require-hashes"]
        command += ["--requirement", str(_LOCK), "--format", "json", "--output", str(report)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        said = report.read_text("utf-8") if report.is_file() else ""
    status, lines = judged(said, ran.stderr.strip().rpartition("\n")[2])
    print(*lines, sep="\n")
    return status


def judged(report: str, complaint: str) -> tuple[int, list[str]]:
    """The exit code and the lines for a report of pip-audit (its JSON), or for none and what it complained of."""
    if not report:
        return 0, [f"not audited: {complaint or 'pip-audit gave no report'}"]
    rows = json.loads(report)["dependencies"]
    asked = [row for row in rows if "vulns" in row]
    unknown = [row["name"] for row in rows if "vulns" not in row]
    found = [
        f"{row['name']} {row['version']}: {one['id']}, repaired in {', '.join(one['fix_versions']) or 'no release yet'}"
        for row in asked
        for one in row["vulns"]
    ]
    if not asked:
        return 0, ["not audited: the database knows none of the locked releases, so it was not the real one"]
    if unknown:
        found.append(f"not audited, though others were: {', '.join(unknown)}")
    return (1, found) if found else (0, [f"audited: {len(asked)} locked releases, no known vulnerability"])


if __name__ == "__main__":
    sys.exit(main())
