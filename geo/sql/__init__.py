"""SQL that is longer than a line, by file name."""

from importlib.resources import files


def load(name: str) -> str:
    """The text of `<name>.sql` in this folder."""
    return files(__name__).joinpath(f"{name}.sql").read_text()
