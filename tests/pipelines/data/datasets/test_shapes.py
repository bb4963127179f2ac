"""The generated dataset: the same bytes from the same seed, images as described, captions that are true and varied."""

import json
import re
from collections import Counter
from dataclasses import replace
from itertools import combinations, pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.data.dataset import Record
from pipelines.data.datasets.shapes import Shapes
from pipelines.data.datasets.shapes.captions import CAPTIONS, LENGTHS, write_captions
from pipelines.data.datasets.shapes.drawing import draw_scene
from pipelines.data.datasets.shapes.scene import BACKGROUNDS, COLORS, SIDE, TEXTURES, Scene, Thing, sample_scene
from schemas.errors import InputError


def meanings(**words: str) -> dict[str, str]:
    return {word: meaning for meaning, synonyms in words.items() for word in synonyms.split()}


# A reader's own dictionary, so that the grammar is not checked against itself.
NOUNS = meanings(
    circle="circle circles disc discs disk disks ball balls",
    square="square squares box boxes block blocks",
    triangle="triangle triangles pyramid pyramids wedge wedges",
    star="star stars",
    ring="ring rings hoop hoops donut donuts loop loops",
    cross="cross crosses plus pluses",
    heart="heart hearts",
)
HUES = meanings(
    red="red crimson scarlet",
    orange="orange",
    yellow="yellow golden",
    green="green emerald",
    blue="blue",
    purple="purple violet",
    white="white",
    black="black",
)
GROUNDS = meanings(white="white off-white", grey="grey gray", black="black dark", beige="beige tan cream", pink="pink")
GROUNDS["light-blue"] = "light blue"
SIZES = meanings(small="small tiny little", medium="medium medium-sized", large="large big huge giant")
PATTERNS = meanings(
    plain="plain solid",
    stripes="striped stripy stripes lines",
    checks="checkered chequered checked checks check",
    dots="dotted spotted polka-dot dots spots",
    gradient="shaded gradient shading",
    speckle="speckled grainy noisy specks speckles",
)
RELATIONS = {
    "left": "to left of|on left of|left of",
    "right": "to right of|on right of|right of",
    "above": "above|over|higher than",
    "below": "below|underneath|under|beneath",
    "inside": "inside of|inside|within|in middle of",
    "around": "around",
    "beside": "next to|beside",
}
EDGES = {"upper": "top", "lower": "bottom", "center": "middle", "centre": "middle"}
NEUTRAL = meanings(
    neutral="and with of on over against is are there this shows picture image drawing photo pattern one it just else "
    "nothing pair single shapes objects figures things two three by side next to each other above"
)


def holds(word: str, a: Thing, b: Thing) -> bool:
    """Whether the position of `a` relative to `b` is as described, by the coordinates alone."""
    dx, dy = a.x - b.x, a.y - b.y
    return {
        "left": dx < -10 and abs(dx) >= abs(dy),
        "right": dx > 10 and abs(dx) >= abs(dy),
        "above": dy < -10 and abs(dy) >= abs(dx),
        "below": dy > 10 and abs(dy) >= abs(dx),
        "inside": dx == dy == 0 and a.radius < b.radius,
        "around": dx == dy == 0 and a.radius > b.radius,
        "beside": abs(dx) > 10 and abs(dy) < abs(dx) / 2,
    }[word]


def lies_at(thing: Thing, place: str) -> bool:
    if place == "middle":
        return abs(thing.x - SIDE / 2) <= SIDE / 10 and abs(thing.y - SIDE / 2) <= SIDE / 10
    return {"left": thing.x, "top": thing.y, "right": SIDE - thing.x, "bottom": SIDE - thing.y}[place] < 0.4 * SIDE


def assert_true(caption: str, scene: Scene) -> None:
    """Read `caption` and assert all its statements about `scene`; a word that is not understood is an error too."""
    text = re.sub(r"[.,:]|\b(an?|the) ", "", caption.lower())
    text = re.sub(r"\b(light|pale|sky) blue", "light-blue", text).replace("light pink", "pink")
    text = re.sub(r"\b(bright|jet|royal|dark(?= green)) |(?<=heart) shape", "", text)
    text = text.replace("plus signs", "pluses").replace("plus sign", "plus")
    spoken_of: list[list[Thing]] = []  # what each T0, T1, ... may be

    def read_ground(match: re.Match[str]) -> str:
        for word in match[1].split():
            assert scene.texture == PATTERNS[word] if word in PATTERNS else scene.background == GROUNDS[word]
        return "GROUND"

    def read_thing(match: re.Match[str]) -> str:
        size, hue, noun = SIZES.get(match[1]), HUES.get(match[2]), NOUNS[match[3]]
        meant = [t for t in scene.things if (t.shape, size or t.size, hue or t.color) == (noun, t.size, t.color)]
        assert len(meant) >= (2 if re.search(r"(?<!cros)(?<!plu)s$", match[3]) else 1), match[0]
        spoken_of.append(meant)
        return f"T{len(spoken_of) - 1}"

    size, hue, noun = "|".join(SIZES), "|".join(HUES), "|".join(sorted(NOUNS, reverse=True))
    text = re.sub(rf"((?:(?:{'|'.join([*PATTERNS, *GROUNDS])}) )*)(?:background|backdrop|surface)\b", read_ground, text)
    text = re.sub(rf"(?:\b({size}) )?(?:\b({hue}) )?\b({noun})\b", read_thing, text)
    text = text.replace("another one", f"T{len(spoken_of)}")
    spoken_of.append([thing for thing in scene.things if spoken_of and thing.shape == spoken_of[0][0].shape])
    for name, phrases in RELATIONS.items():
        text = re.sub(rf"\b(to|on) its {name}\b|\b({phrases}) it\b", f"IT_{name}", text)
        text = re.sub(rf"\b({phrases}) (?=T\d)", f"REL_{name} ", text)
    text = re.sub(r"\binside\b|\bin its center\b", "IT_inside", text)

    def any_holds(name: str, a: str, b: str) -> bool:
        return any(holds(name, x, y) for x in spoken_of[int(a)] for y in spoken_of[int(b)] if x is not y)

    text = re.sub(r"(T\d) (?:is placed|is|sits|floats|lies) (?!T)", r"\1 ", text)
    assert all(any_holds(name, a, b) for a, name, b in re.findall(r"T(\d) REL_(\w+) T(\d)", text)), text
    assert all(any_holds(name, b, a) for a, b, name in re.findall(r"T(\d) with T(\d) IT_(\w+)", text)), text
    text = re.sub(r"(?<=T\d) (REL|IT)_\w+", "", text)
    place = r"(?:at|in|on|near) (\w+)(?: (left|right))?(?: (?:part|side|corner))?\b"
    for index, *edges in re.findall(rf"T(\d) (?!on GROUND){place}", text):
        for edge in filter(None, edges):
            assert any(lies_at(thing, EDGES.get(edge, edge)) for thing in spoken_of[int(index)]), text
    text = re.sub(rf"(T\d) (?!on GROUND){place}", r"\1", text)

    assert "one above other" not in text or any(holds("above", *pair) for pair in permutations(scene.things, 2))
    assert not re.search("side by side|each other", text) or holds("beside", *scene.things)
    for word in text.split():
        if word in HUES:
            assert HUES[word] in {thing.color for thing in scene.things}, word
        elif word in PATTERNS:
            assert PATTERNS[word] == scene.texture, word
        else:
            assert word in NEUTRAL or re.fullmatch(r"T\d|GROUND", word), f"{word!r} is not understood: {text}"
        assert {"pair": 2, "two": 2, "three": 3}.get(word, len(scene.things)) == len(scene.things), word


def scene_of(record: Record) -> Scene:
    fields = record.extras["scene"]
    return Scene(fields["background"], fields["texture"], tuple(Thing(**thing) for thing in fields["things"]))


def words_of(caption: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[\w-]+", caption.lower()))


def generate(root: Path, images: int, seed: int = 0) -> list[Record]:
    Shapes().generate(root, seed=seed, images=images, progress=lambda fraction, message: None)
    return list(Shapes().records(root, []))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """The complete default dataset, but for its images, which take long to draw."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.data.datasets.shapes.draw_scene", lambda scene, rng: Image.new("RGB", (1, 1)))
        return generate(tmp_path_factory.mktemp("shapes"), images=1200)


def test_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    def files(root: Path) -> dict[str, bytes]:
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    for name, images, seed in [("once", 6, 0), ("again", 6, 0), ("larger", 8, 0), ("other", 6, 1)]:
        generate(tmp_path / name, images, seed)
    once, larger, other = (files(tmp_path / name) for name in ("once", "larger", "other"))
    assert once == files(tmp_path / "again")
    assert len(once) == 7
    assert larger.pop("captions.jsonl").startswith(once["captions.jsonl"])
    assert once["captions.jsonl"] != other["captions.jsonl"]
    for name in once.keys() - {"captions.jsonl"}:
        assert once[name] == larger[name] != other[name]


def test_records_name_the_files_and_splits(records: list[Record], tmp_path: Path) -> None:
    assert [record.image_id for record in records] == [f"shapes_{index:05d}" for index in range(1200)]
    assert all(record.file == f"images/{record.image_id}.png" for record in records)
    assert Counter(record.split for record in records) == {"train": 900, "val": 100, "test": 200}
    drawn = generate(tmp_path, images=2)
    assert drawn == records[:2]
    assert all((tmp_path / record.file).is_file() for record in drawn)


def test_progress_is_reported(tmp_path: Path) -> None:
    told: list[float] = []
    Shapes().generate(tmp_path, images=4, progress=lambda fraction, message: told.append(fraction))
    assert told == [0.25, 0.5, 0.75, 1]


def test_scenes_are_distinct(records: list[Record]) -> None:
    assert len({scene_of(record) for record in records}) == len(records)


def test_captions_are_true(records: list[Record]) -> None:
    for record in records:
        for caption in record.captions:
            assert_true(caption, scene_of(record))


def is_true(caption: str, scene: Scene) -> bool:
    try:
        assert_true(caption, scene)
    except AssertionError:
        return False
    return True


def test_caption_checker_detects_wrong_captions(records: list[Record]) -> None:
    """Otherwise the test above would not be valid."""
    assert sum(is_true(record.captions[0], scene_of(other)) for record, other in pairwise(records)) < 0.02 * len(
        records
    )
    sides = re.compile(
        r"\b(left|right|top|bottom|upper|lower|above|below|under|beneath)\b(?! the other)", re.IGNORECASE
    )
    for record in records[:300]:
        scene = scene_of(record)
        turned = tuple(replace(thing, x=SIDE - thing.x, y=SIDE - thing.y) for thing in scene.things)
        for caption in filter(sides.search, record.captions):
            # Of two things that look alike, either may be the one meant.
            assert "another one" in caption.lower() or not is_true(caption, replace(scene, things=turned)), caption


def test_captions_of_an_image_differ(records: list[Record]) -> None:
    for record in records:
        assert len({words_of(caption) for caption in record.captions}) == len(record.captions) == CAPTIONS
        assert all(len(caption.split()) in LENGTHS for caption in record.captions)


def test_captions_are_varied_and_yet_agree(records: list[Record]) -> None:
    captions = [words_of(caption) for record in records for caption in record.captions]
    vocabulary = Counter(word for caption in captions for word in caption)
    assert 140 <= len(vocabulary) <= 200
    assert 9 < np.mean([len(caption) for caption in captions]) < 12
    assert len(set(captions)) > 0.95 * len(captions)

    # A template is a caption without its contents; none may dominate.
    contents = NOUNS.keys() | HUES.keys() | GROUNDS.keys() | SIZES.keys() | PATTERNS.keys()
    templates = Counter(tuple(word for word in caption if word not in contents) for caption in captions)
    assert len(templates) > 700
    assert templates.most_common(1)[0][1] < 0.1 * len(captions)

    # Agreement, without which scores of n-grams mean nothing: a caption's pairs of words mostly occur in the others.
    shared = []
    for record in records:
        first, *others = [set(pairwise(words)) for words in map(words_of, record.captions)]
        shared.append(len(first & set.union(*others)) / len(first))
    assert 0.5 < np.mean(shared) < 0.9


def test_typing_is_varied(records: list[Record]) -> None:
    captions = [caption for record in records for caption in record.captions]
    for kind in (str.islower, str.isupper, lambda caption: caption.endswith("."), lambda caption: "," in caption):
        assert 0.003 < np.mean([kind(caption) for caption in captions]) < 0.7


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_things_are_in_the_image_apart_and_visible(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = sample_scene(rng)
    assert 1 <= len(scene.things) <= 3
    for thing in scene.things:
        assert thing.radius >= 8
        assert thing.radius < min(thing.x, thing.y, SIDE - thing.x, SIDE - thing.y)
        for tone in BACKGROUNDS[scene.background]:
            assert np.linalg.norm(np.subtract(COLORS[thing.color], tone)) > 80
    for a, b in combinations(scene.things, 2):
        nested = (a.x, a.y) == (b.x, b.y) and (a.size, b.size) == ("large", "small")
        assert nested or max(abs(a.x - b.x), abs(a.y - b.y)) > a.radius + b.radius
    for caption in write_captions(scene, rng):
        assert_true(caption, scene)


@pytest.mark.parametrize("texture", TEXTURES)
def test_images_show_the_scene(texture: str) -> None:
    things = (Thing("circle", "red", "small", 20.0, 30.0, 8.0), Thing("ring", "green", "large", 66.0, 60.0, 24.0))
    image = draw_scene(Scene("grey", texture, things), np.random.default_rng(0))
    assert (image.size, image.mode) == ((SIDE, SIDE), "RGB")
    pixels = np.asarray(image, dtype=float)

    def seen(x: int, y: int) -> np.ndarray:
        return pixels[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1))

    assert np.allclose(seen(20, 30), COLORS["red"], atol=8)
    assert np.allclose(seen(66 - 20, 60), COLORS["green"], atol=8)
    light, dark = BACKGROUNDS["grey"]
    assert np.all(seen(66, 60) < np.add(light, 8)) and np.all(seen(66, 60) > np.subtract(dark, 8))
    contrast = pixels[:20].mean(axis=2).std() - 3
    assert contrast < 1 if texture == "plain" else contrast > 1


def test_unknown_textures_are_refused() -> None:
    with pytest.raises(ValueError, match="no such texture: fur"):
        draw_scene(Scene("grey", "fur", ()), np.random.default_rng(0))


GOOD_LINE = {"file": "images/a.png", "split": "train", "captions": ["a red star"], "scene": {}}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "Expecting"),
        ("[]", "not a JSON object"),
        (json.dumps({"file": "images/a.png", "captions": []}), "no scene, split"),
        (json.dumps({**GOOD_LINE, "file": "images/../a.png"}), "images/NAME.png"),
        (json.dumps({**GOOD_LINE, "file": 1}), "images/NAME.png"),
        (json.dumps({**GOOD_LINE, "split": "dev"}), "'dev' is not one of train, val, test"),
        (json.dumps({**GOOD_LINE, "split": []}), "is not one of"),
        (json.dumps({**GOOD_LINE, "captions": []}), "captions"),
        (json.dumps({**GOOD_LINE, "captions": [1]}), "captions"),
        (json.dumps({**GOOD_LINE, "scene": None}), "scene"),
    ],
)
def test_malformed_line_is_named(line: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "captions.jsonl").write_text(json.dumps(GOOD_LINE) + "\n" + line + "\n")
    rows = Shapes().records(tmp_path, [])
    assert next(rows) == Record("a", "images/a.png", "train", ("a red star",), {"scene": {}})
    with pytest.raises(InputError, match=rf"captions\.jsonl, line 2: .*{problem}.*; generate the dataset again\."):
        next(rows)


def test_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"captions\.jsonl"):
        list(Shapes().records(tmp_path, []))
    (tmp_path / "captions.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"captions\.jsonl"):
        list(Shapes().records(tmp_path, []))
