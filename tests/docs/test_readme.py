"""The captions of README are those of the pretrained model."""

import json
import re

from tests.docs.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_captions_are_printed_by_its_command(capsys) -> None:
    (command,) = re.findall(r"^mrnn caption (docs/images/\S+ docs/images/\S+)$", README, re.MULTILINE)
    from tasks.cli import app

    images = [str(ROOT / name) for name in command.split()]
    app(["caption", *images, "--json"], standalone_mode=False)
    printed = {record["image"]: record["captions"] for record in json.loads(capsys.readouterr().out)["captioned"]}
    shown = re.search(r"^\|---\|---\|\n\| (.+) \| (.+) \|$", README, re.MULTILINE)
    assert shown
    for image, caption in zip(images, shown.groups(), strict=True):
        assert caption in [each["text"] for each in printed[image]]
