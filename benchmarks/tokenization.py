"""The words of 5,000 captions for scoring: without Java against coco-caption's Java tokenizer, start-up counted."""

import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from benchmarks.machine import describe_run
from benchmarks.timing import compare_rounds, print_head

CAPTIONS = 5000
WORDS = (
    "a man woman dog two people in on the of with and is red ball t-shirt person's grass running playing street young "
    "little blue water another while standing their, don't camera. snow-covered"
).split()
ALONE = """
import json, sys
from model.text.ptb import ptb_tokens
captions = json.load(open(sys.argv[1]))
json.dump([" ".join(ptb_tokens(caption)) for caption in captions], open(sys.argv[2], "w"))
"""


def run() -> None:
    """Ours runs in a new process, its start and both files included; theirs starts Java within one that is there."""
    if shutil.which("java") is None:
        print("tokenization: left out, no Java to compare with")
        return
    draw = random.Random(0)
    captions = [" ".join(draw.choices(WORDS, k=draw.randint(6, 16))).capitalize() + " ." for _ in range(CAPTIONS)]
    records = {index: [{"caption": caption}] for index, caption in enumerate(captions)}
    by_java: list[list[str]] = []
    with tempfile.TemporaryDirectory() as name:
        texts, words = Path(name) / "captions.json", Path(name) / "words.json"
        texts.write_text(json.dumps(captions))

        def ours() -> None:
            subprocess.run([sys.executable, "-c", ALONE, str(texts), str(words)], check=True)

        def java() -> None:
            found = PTBTokenizer().tokenize(records)
            by_java.append([found[index][0] for index in range(CAPTIONS)])

        print(describe_run("python -m benchmarks tokenization"))
        print_head("", "without Java", "with Java", "ratio")
        compare_rounds("captions/s", (ours, CAPTIONS), (java, CAPTIONS))
        assert json.loads(words.read_text()) == by_java[-1]
