"""Images of local and remote file systems, read and decoded ahead in parallel."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.backbones.images import decode_image
from pipelines import storage
from pipelines.engines.shards import ImageSource
from schemas.errors import InputError
from schemas.features import Reject
from schemas.text import reason

Cut = Callable[[ImageSource, Image.Image], NDArray[np.uint8]]  # an image and its pixels -> crops (n, S, S, 3)


@dataclass
class ShardCounts:
    """Statistics of a shard.

    Attributes:
        images: Number of images.
        rejected: Number of images that could not be read.
        bytes_read: Size of the files that were read.
        decode_seconds: Seconds of reading and decoding, summed over threads.
        wait_seconds: Seconds that the network waited for pixels.
        inference_seconds: Seconds of inference.
        batches: Number of batches.
        batch_places: Capacity of the batches in images.
    """

    images: int = 0
    rejected: int = 0
    bytes_read: int = 0
    decode_seconds: float = 0.0
    wait_seconds: float = 0.0
    inference_seconds: float = 0.0
    batches: int = 0
    batch_places: int = 0


def read_image(source: ImageSource) -> tuple[Image.Image, int]:
    """Return the decoded image (8-bit RGB, upright) and the size of its file in bytes.

    Raises:
        OSError: The file cannot be read; transient errors are retried.
        InputError: The file is not an image.
    """
    data = storage.read(source.path)
    return decode_image(data), len(data)


def read_ahead(
    images: Sequence[ImageSource],
    cut: Cut,
    threads: int,
    ahead: int,
    counts: ShardCounts,
) -> Iterator[tuple[ImageSource, NDArray[np.uint8] | Reject]]:
    """Read and decode images in parallel.

    Args:
        images: Images to read.
        cut: Called by the threads with each image and its pixels, RGB; returns its crops.
        threads: Number of threads.
        ahead: Maximum number of images that are decoded in advance.
        counts: Statistics; `bytes_read` and `decode_seconds` are increased.

    Yields:
        Each image, in order, with its crops, or the reason why there are none.
    """
    lock = threading.Lock()

    def read(source: ImageSource) -> NDArray[np.uint8] | Reject:
        started, read_bytes = time.monotonic(), 0
        try:
            image, read_bytes = read_image(source)
            return cut(source, image)
        except OSError as error:
            return Reject(source.image_id, "read", reason(error))
        except InputError as error:
            return Reject(source.image_id, "decode", str(error))
        finally:
            with lock:
                counts.decode_seconds += time.monotonic() - started
                counts.bytes_read += read_bytes

    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[ImageSource, Future[NDArray[np.uint8] | Reject]]] = deque()
        for image in images:
            waiting.append((image, pool.submit(read, image)))
            if len(waiting) > ahead:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
