"""Our own database: catalog, runs and their outcomes, calls, secrets. Everything the faces read is in here.

A workspace is a folder with one SQLite file; `Workspace.open` is the way in. Ledgers lie beside it and are not ours.
"""
