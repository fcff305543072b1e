"""Writes the dashboards into the folder that is named."""

from __future__ import annotations

import sys
from pathlib import Path

from entresol.codegen.dashboards import write

if __name__ == "__main__":
    write(Path(sys.argv[1]))
