"""Write the schema files again, beside this module."""

from __future__ import annotations

from pathlib import Path

from dualrun.contracts.schemas import rendered


def main() -> None:
    """One file a document."""
    for name, text in rendered().items():
        Path(__file__).with_name(f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
