"""Fuzzing that follows which lines a reader runs, by atheris: `python -m tests.support.faults.guided FORMAT SECONDS`.

atheris is no dependency of the project (it is there for Linux only): `pip install atheris` first. A file that does more
than be read or refused ends it, with the path of that file.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["model", "pipelines", "schemas", "tasks"]):
    from tests.support.faults.formats import FORMATS, samples
from tests.support.faults.guarded import check, limited_memory


def main(name: str, seconds: str) -> None:
    """Read corrupted files of a format for a time in seconds, and print their number at the end."""
    form, folder = FORMATS[name], Path(tempfile.mkdtemp(prefix=f"guided-{name}-"))
    path, data_directory, seeds = folder / "given" / form.file, folder / "var", folder / "seeds"
    seeds.mkdir()
    for number, content in enumerate(samples(form, path)):
        (seeds / str(number)).write_bytes(content)

    def read(content: bytes) -> None:
        shutil.rmtree(data_directory, ignore_errors=True)
        data_directory.mkdir()
        path.write_bytes(content)
        check(form.read, path, data_directory)

    # No limit by libFuzzer itself: its own would end the process without a word of which reader it was.
    arguments = [f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", "-rss_limit_mb=0", str(seeds)]
    atheris.Setup([sys.argv[0], *arguments], read)
    with limited_memory():
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
