"""Tasks that act instead of making an artifact."""

import luigi


class Command(luigi.Task):
    """Runs each time it is asked for; a subclass says in `act` what it does."""

    _done = False

    def act(self) -> None:
        """Does it."""
        raise NotImplementedError(f"{self.task_family} does not say what it does")

    def run(self) -> None:
        """Acts once."""
        self.act()
        self._done = True

    def complete(self) -> bool:
        """Whether it has acted in this run."""
        return self._done
