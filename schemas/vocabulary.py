"""The `vocabulary.txt` artifact: UTF-8, one token per line; the line number is the id."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from schemas.errors import ArtifactError
from schemas.io.files import write_text

PAD, UNK, BOS = 0, 1, 2  # `<bos>` is also the end token, as in TF-mRNN
SPECIAL_WORDS = ("<pad>", "<unk>", "<bos>")


class Vocabulary:
    """Tokens and their ids: the three special tokens, then by decreasing count, ties alphabetically."""

    def __init__(self, words: Sequence[str]):
        """Store all tokens in id order, special tokens included.

        Raises:
            ArtifactError: The special tokens are not first, or a token is empty, repeated or not one line.
        """
        if tuple(words[:3]) != SPECIAL_WORDS:
            raise ArtifactError(f"A vocabulary starts with {' '.join(SPECIAL_WORDS)}, this one with {list(words[:3])}.")
        self.words = tuple(words)
        self._ids = {word: index for index, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            repeated = next(word for word, count in Counter(self.words).items() if count > 1)
            raise ArtifactError(f"The vocabulary has the token {repeated!r} twice; run TokenizeCaptions again.")
        for index, word in enumerate(self.words):
            if not word or word.split() != [word]:
                raise ArtifactError(f"Token {index} of the vocabulary, {word!r}, is empty or contains white space.")

    @classmethod
    def from_captions(cls, captions: Iterable[Sequence[str]], min_count: int) -> "Vocabulary":
        """Build the vocabulary of tokens that occur at least `min_count` times."""
        counts = Counter(word for caption in captions for word in caption)
        for special in SPECIAL_WORDS:
            counts.pop(special, None)
        frequent = [word for word, count in counts.items() if count >= min_count]
        return cls([*SPECIAL_WORDS, *sorted(frequent, key=lambda word: (-counts[word], word))])

    @classmethod
    def read(cls, path: Path) -> "Vocabulary":
        """Read `vocabulary.txt`.

        Raises:
            ArtifactError: The file is missing or malformed.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ArtifactError(f"{path} cannot be read ({error}); run TokenizeCaptions again.") from error
        return cls(text.removesuffix("\n").split("\n"))

    def write(self, path: Path) -> None:
        """Write `vocabulary.txt` atomically."""
        write_text(path, self._text())

    def encode(self, words: Iterable[str]) -> list[int]:
        """Return the ids of tokens; unknown tokens become `<unk>`."""
        return [self._ids.get(word, UNK) for word in words]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the tokens of ids."""
        return [self.words[index] for index in ids]

    @property
    def digest(self) -> str:
        """SHA-256 of the written file in hex."""
        return hashlib.sha256(self._text().encode("utf-8")).hexdigest()

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def _text(self) -> str:
        return "".join(word + "\n" for word in self.words)
