"""``python -m signalbox``."""

from signalbox.cli import main

main(prog_name="signalbox")
