"""`python -m tasks.cli` is the `mrnn` command."""

from tasks.cli import main

main()
