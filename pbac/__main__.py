"""`python -m pbac`."""

from pbac.cli import main

if __name__ == "__main__":
    main()
