"""`python -m pictact_actors` is `pictact`."""

from pictact_actors.cli import main

if __name__ == "__main__":
    main()
