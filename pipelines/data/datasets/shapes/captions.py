"""Captions of a scene: a weighted grammar of true sentences.

A rule maps a symbol to its weighted expansions, in which `{name}` is another symbol. The rules below hold for
every scene; `_rules_of` adds those that state one scene's facts. As with people, the plain word is the usual one.
"""

import re
from collections.abc import Mapping

import numpy as np

from pipelines.data.datasets.shapes.scene import Scene, Thing, aligned, pick, relation

Rules = Mapping[str, Mapping[str, float]]

CAPTIONS = 5
LENGTHS = range(5, 19)  # words

_SHAPE_WORDS: Rules = {
    "circle": {"circle": 70, "disc": 10, "ball": 12, "disk": 8},
    "square": {"square": 82, "box": 12, "block": 6},
    "triangle": {"triangle": 93, "pyramid": 4, "wedge": 3},
    "star": {"star": 100},
    "ring": {"ring": 70, "hoop": 10, "donut": 13, "loop": 7},
    "cross": {"cross": 72, "plus sign": 22, "plus": 6},
    "heart": {"heart": 94, "heart shape": 6},
}
_COLOR_WORDS: Rules = {
    "red": {"red": 88, "bright red": 4, "crimson": 4, "scarlet": 4},
    "orange": {"orange": 95, "bright orange": 5},
    "yellow": {"yellow": 90, "bright yellow": 5, "golden": 5},
    "green": {"green": 90, "dark green": 6, "emerald": 4},
    "blue": {"blue": 90, "bright blue": 4, "royal blue": 6},
    "purple": {"purple": 84, "violet": 16},
    "white": {"white": 100},
    "black": {"black": 97, "jet black": 3},
}
_SIZE_WORDS: Rules = {
    "small": {"": 46, "small": 32, "little": 9, "tiny": 13},
    "medium": {"": 94, "medium": 3, "medium-sized": 3},
    "large": {"": 48, "large": 25, "big": 21, "huge": 4, "giant": 2},
}
_GROUND_WORDS: Rules = {
    "white": {"white": 96, "off-white": 4},
    "grey": {"grey": 52, "gray": 48},
    "black": {"black": 90, "dark": 10},
    "beige": {"beige": 55, "tan": 25, "cream": 20},
    "light blue": {"light blue": 74, "pale blue": 13, "sky blue": 13},
    "pink": {"pink": 92, "light pink": 8},
}
_TEXTURE_ADJECTIVES: Rules = {
    "stripes": {"striped": 90, "stripy": 10},
    "checks": {"checkered": 60, "checked": 25, "chequered": 15},
    "dots": {"dotted": 50, "spotted": 25, "polka-dot": 25},
    "gradient": {"shaded": 55, "gradient": 45},
    "speckle": {"speckled": 60, "grainy": 25, "noisy": 15},
}
_TEXTURE_NOUNS: Rules = {
    "stripes": {"stripes": 85, "lines": 15},
    "checks": {"checks": 60, "a check pattern": 40},
    "dots": {"dots": 70, "spots": 30},
    "gradient": {"shading": 60, "a gradient": 40},
    "speckle": {"specks": 60, "speckles": 40},
}
_RELATION_WORDS: Rules = {
    "left": {"to the left of": 72, "left of": 14, "on the left of": 14},
    "right": {"to the right of": 72, "right of": 14, "on the right of": 14},
    "above": {"above": 84, "over": 11, "higher than": 5},
    "below": {"below": 62, "under": 24, "beneath": 10, "underneath": 4},
    "inside": {"inside": 74, "within": 8, "in the middle of": 10, "inside of": 8},
    "around": {"around": 100},
}
_BESIDE = {"next to": 60, "beside": 40}
_RELATION_TO_IT: Rules = {
    "left": {"to its left": 70, "on its left": 20, "to the left of it": 10},
    "right": {"to its right": 70, "on its right": 20, "to the right of it": 10},
    "above": {"above it": 90, "over it": 10},
    "below": {"below it": 65, "under it": 25, "beneath it": 10},
    "inside": {"inside it": 55, "inside": 30, "in its center": 15},
    "around": {"around it": 100},
}
_EDGE_WORDS: Rules = {
    "left": {"on the left": 55, "on the left side": 30, "at the left": 15},
    "right": {"on the right": 55, "on the right side": 30, "at the right": 15},
    "top": {"at the top": 70, "near the top": 20, "in the upper part": 10},
    "bottom": {"at the bottom": 70, "near the bottom": 20, "in the lower part": 10},
    "middle": {"in the middle": 55, "in the center": 35, "in the centre": 10},
}
_UPPER = {"top": "upper", "bottom": "lower"}

_COMMON: Rules = {
    "picture": {"picture": 50, "image": 35, "drawing": 10, "photo": 5},
    "objects": {"shapes": 75, "objects": 13, "figures": 8, "things": 4},
    "backdrop": {"background": 93, "backdrop": 5, "surface": 2},
    "verb": {"is": 62, "sits": 18, "floats": 7, "is placed": 7, "lies": 6},
    "on": {"on {ground}": 82, "against {ground}": 9, "over {ground}": 3, "with {ground}": 6},
    "plain": {"": 86, "plain": 11, "solid": 3},
}
_ONE: Mapping[str, float] = {
    "{a} {on}": 36,
    "{a} {at_a} {maybe_on}": 20,
    "{a} {at_a} of {ground}": 8,
    "{a} {at_a} of the {picture}": 7,
    "there is {a} {on}": 6,
    "there is {a} {at_a} {maybe_on}": 7,
    "{a} {verb} {at_a} {maybe_on}": 5,
    "the {shape_a} {at_a} is {color_a}": 2,
    "a {picture} of {a} {maybe_on}": 6,
    "this {picture} shows {a} {maybe_on}": 3,
    "{on}, there is {a}": 2,
    "a single {size_a} {color_a} {shape_a} {on}": 2,
    "just {a} {at_a}, nothing else": 1,
}
_TWO: Mapping[str, float] = {
    "{a} {to} {b} {maybe_on}": 42,
    "{a} and {b} {maybe_on}": 18,
    "there is {a} {to} {b} {maybe_on}": 6,
    "{a} {verb} {to} {b} {maybe_on}": 7,
    "{a} with {b} {to_it} {maybe_on}": 8,
    "two {objects}: {a} and {b} {maybe_on}": 3,
    "a {picture} of {a} and {b} {maybe_on}": 4,
    "{on}, {a} {to} {b}": 3,
    "this {picture} shows {a} {to} {b}": 2,
    "the {color_a} {shape_a} {verb} {to} the {color_b} {shape_b}": 4,
}
_TWO_PLACES = {"{a} {at_a} and {b} {at_b}": 8, "{a} {at_a}, {b} {at_b} {maybe_on}": 3}
_TWO_OF_A_SHAPE = {
    "two {shapes}, one {color_a} and one {color_b} {maybe_on}": 12,
    "two {shapes}, {a} and {b}": 5,
    "a {color_a} and a {color_b} {shape_a} {on}": 8,
}
_ALIKE: Mapping[str, float] = {
    "two {sizes} {color_a} {shapes} {apart} {maybe_on}": 52,
    "there are two {sizes} {color_a} {shapes} {apart} {maybe_on}": 14,
    "a pair of {sizes} {color_a} {shapes} {apart} {maybe_on}": 10,
    "{a} {to} another one {maybe_on}": 10,
    "a {picture} of two {sizes} {color_a} {shapes} {maybe_on}": 6,
    "{on}, two {sizes} {color_a} {shapes} {apart}": 4,
}
_THREE: Mapping[str, float] = {
    "{a}, {b} and {c} {maybe_on}": 46,
    "{a}, {b}, and {c} {maybe_on}": 12,
    "three {objects}: {a}, {b} and {c} {maybe_on}": 12,
    "there are three {objects}, {a}, {b} and {c}": 5,
    "{a} {to} {b}, and {c} {maybe_at_c}": 10,
    "three {objects} {on}, {color_a}, {color_b} and {color_c}": 5,
    "{on}, {a}, {b} and {c}": 3,
}


def write_captions(scene: Scene, rng: np.random.Generator) -> tuple[str, ...]:
    """Return five different captions of `scene`, as people would type them."""
    sentences: dict[tuple[str, ...], str] = {}  # by their words: a comma makes no other caption
    while len(sentences) < CAPTIONS:
        sentence = _tidy(_expand("{caption}", _rules_of(scene, rng), rng))
        words = tuple(re.findall(r"[\w-]+", sentence))
        if len(words) in LENGTHS:
            sentences.setdefault(words, sentence)
    return tuple(_type(sentence, rng) for sentence in sentences.values())


def _rules_of(scene: Scene, rng: np.random.Generator) -> dict[str, Mapping[str, float]]:
    """Return the grammar of one sentence about `scene`: the common rules and its facts, a, b, c in order of telling."""
    rules = {**_COMMON, **_ground_rules(scene)}
    things = _order_of_telling(scene.things, rng)
    nouns = {thing.shape: pick(rng, _SHAPE_WORDS[thing.shape]) for thing in things}  # one word a shape in a sentence
    for name, thing in zip("abc", things, strict=False):
        rules |= {
            name: {
                f"a {{size_{name}}} {{color_{name}}} {{shape_{name}}}": 94,
                f"a {{size_{name}}} {{shape_{name}}}": 6,
            },
            f"size_{name}": _SIZE_WORDS[thing.size],
            f"color_{name}": _COLOR_WORDS[thing.color],
            f"shape_{name}": {nouns[thing.shape]: 1},
            f"at_{name}": _place_words(thing),
            f"maybe_at_{name}": {"": 50, f"{{at_{name}}}": 50},
        }
    if len(things) == 1:
        return rules | {"caption": _ONE}
    rules |= _pair_rules(things[0], things[1], nouns[things[0].shape])
    return rules if len(things) == 2 else rules | {"caption": _THREE}


def _ground_rules(scene: Scene) -> Rules:
    color, texture = _GROUND_WORDS[scene.background], scene.texture
    if texture == "plain":
        # The plainer the background, the fewer people speak of it.
        silence = 70 if scene.background == "white" else 50
        ground = {"a {plain} {ground_color} {backdrop}": 1.0}
        return {"ground_color": color, "ground": ground, "maybe_on": {"": silence, "{on}": 100 - silence}}
    return {
        "ground_color": color,
        "texture": _TEXTURE_ADJECTIVES[texture],
        "ground": {
            "a {ground_color} {texture} {backdrop}": 30,
            "a {texture} {ground_color} {backdrop}": 24,
            "a {texture} {backdrop}": 26,
            "a {ground_color} {backdrop}": 10,
            "a {ground_color} {backdrop} with {pattern}": 10,
        },
        "pattern": _TEXTURE_NOUNS[texture],
        "maybe_on": {"": 38, "{on}": 62},
    }


def _pair_rules(a: Thing, b: Thing, noun: str) -> dict[str, Mapping[str, float]]:
    """Return the rules about `a` and `b` together, where `a` is called `noun`."""
    position = relation(a, b)
    side_by_side = aligned(a, b) and position in ("left", "right")
    # One in four speaks of nearness alone.
    to = {"{side}": 75, "{beside}": 25} if side_by_side else {"{side}": 100}
    apart = {"": 50, "side by side": 28, "next to each other": 22} if side_by_side else {"": 1}
    if aligned(a, b) and position in ("above", "below"):
        apart = {"": 50, "one above the other": 50}
    captions = dict(_TWO)
    if (a.row, a.column) != (b.row, b.column):
        captions |= _TWO_PLACES
    if a.shape == b.shape:
        captions = dict(_ALIKE) if a.color == b.color else captions | _TWO_OF_A_SHAPE
    return {
        "caption": captions,
        "to": to,
        "side": _RELATION_WORDS[position],
        "beside": _BESIDE,
        "to_it": _RELATION_TO_IT[relation(b, a)],
        "apart": apart,
        "shapes": {_plural(noun): 1},
        "sizes": _SIZE_WORDS[a.size] if a.size == b.size else {"": 1},
    }


def _order_of_telling(things: tuple[Thing, ...], rng: np.random.Generator) -> list[Thing]:
    """Mostly the largest first, but of two nested things mostly the inner one."""
    nested = len(things) == 2 and relation(*things) == "around"
    told = sorted(things, key=lambda thing: thing.radius, reverse=not nested)
    return told if rng.random() < 0.78 else told[::-1]


def _place_words(thing: Thing) -> Mapping[str, float]:
    if thing.column == "middle" or thing.row == "middle":
        return _EDGE_WORDS[thing.column if thing.row == "middle" else thing.row]
    words = {f"at the {thing.row} {thing.column}": 40.0, f"in the {_UPPER[thing.row]} {thing.column}": 25.0}
    if thing.corner_distance < 24:
        words[f"in the {thing.row} {thing.column} corner"] = 55.0
    return words


def _expand(text: str, rules: Rules, rng: np.random.Generator) -> str:
    return re.sub(r"{(\w+)}", lambda symbol: _expand(pick(rng, rules[symbol[1]]), rules, rng), text)


def _plural(noun: str) -> str:
    return noun + ("es" if noun.endswith(("s", "x")) else "s")


def _tidy(text: str) -> str:
    """Single spaces, none before punctuation, and `an` before a vowel."""
    spaced = re.sub(r" +(?=[,:]|$)", "", re.sub(r" +", " ", text)).strip()
    return re.sub(r"\ba (?=[aeio])", "an ", spaced)


def _type(sentence: str, rng: np.random.Generator) -> str:
    """Return the sentence with one typist's capitals and full stop."""
    manner = pick(rng, {"lower": 42, "sentence": 36, "capital": 14, "stop": 7, "shout": 1})
    if manner == "shout":
        return sentence.upper()
    if manner in ("sentence", "capital"):
        sentence = sentence[0].upper() + sentence[1:]
    return sentence + ("." if manner in ("sentence", "stop") else "")
