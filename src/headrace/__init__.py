"""Headrace: rows from a warehouse to Vitally, only what changed, every API call in sight."""


def __getattr__(name: str) -> str:
    """`__version__`, read when somebody asks: reading it takes longer than some commands."""
    if name == "__version__":
        from importlib.metadata import version

        return version("headrace")
    raise AttributeError(name)
