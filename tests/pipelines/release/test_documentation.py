"""The examples of docs/how-to/publish-release.md, on a release."""

import re
import subprocess
import sys
from pathlib import Path

from pipelines.release.formats import FORMATS
from tests.support.toy_release import Toy

PAGE = Path(__file__).parents[3] / "docs/how-to/publish-release.md"


def test_documentation_examples_run(toy: Toy) -> None:
    release = toy.release()
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for example, lines in zip(examples, (4, 5), strict=True):
        assert len([line for line in example.splitlines() if line]) == lines
        code = example + "\nassert features.shape == (2, 3) and len(image_ids) == 2"
        subprocess.run([sys.executable, "-c", code], cwd=release, capture_output=True, check=True)


def test_documentation_describes_every_format() -> None:
    described = re.findall(r"^\| `([\w-]+)` \| .* \| (?:yes|no) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(described) == set(FORMATS)
