"""`python -m bench COMMAND`: everything that is measured, each with its own `--help`."""

from __future__ import annotations

import sys
from importlib import import_module

COMMANDS = {
    "peers": ("bench.peers", "the store beside what a user would pick instead, and beside its own parts"),
    "load": ("bench.load.command", "a game's load: latency at a fixed rate, the highest rate, what a change did"),
    "scale": ("bench.scale", "boards of millions"),
    "recovery": ("bench.recovery", "opening after a kill, and after damage"),
    "hosts": ("bench.hosts.harness", "a web game and a bot, over HTTP"),
}
"""Where each is and what it measures. Only what is asked for is imported: they need different libraries."""


def main() -> int:
    name, *arguments = sys.argv[1:] or ("",)
    if name in COMMANDS:
        return int(import_module(COMMANDS[name][0]).main(arguments))
    asked = name in {"-h", "--help"}
    print("usage: python -m bench COMMAND [--help]\n", file=sys.stdout if asked else sys.stderr)
    for command, (_, title) in COMMANDS.items():
        print(f"  {command:<10} {title}", file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped")
