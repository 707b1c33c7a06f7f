"""The console script `bothways`, also `python -m bothways`."""

from __future__ import annotations

import sys

NEEDS_SERVER = 'This needs the server: pip install "bothways[server]"'


def main() -> None:
    """Run the command line; where only the client is installed, say what else is needed."""
    try:
        from bothways.cli.main import main as run

        run()
    except ModuleNotFoundError as error:
        if (error.name or "bothways").partition(".")[0] == "bothways" or "--debug" in sys.argv:
            raise
        sys.stderr.write(f"bothways: {NEEDS_SERVER} (there is no module {error.name})\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
