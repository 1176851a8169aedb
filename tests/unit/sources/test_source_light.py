"""What the list of sources costs those who do not use them all."""

from __future__ import annotations

import subprocess
import sys


def test_naming_the_kinds_imports_no_driver():
    """The command line lists sources often and opens few; a driver takes longer to import than the whole list."""
    heavy = "{'adbc_driver_manager', 'duckdb', 'pyarrow', 'sqlite3', 'pysqlite3'}"
    code = f"import sys, headrace.sources; print(sorted({heavy} & set(sys.modules)))"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
