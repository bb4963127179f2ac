"""What happened to the images of a shard, in numbers."""

from dataclasses import dataclass


@dataclass
class ShardCounts:
    """What happened in a shard: images, rejects and bytes read; seconds of reading and decoding (summed over
    threads), of waiting for pixels, and of inference; batches, and how many images would have filled them."""

    images: int = 0
    rejected: int = 0
    bytes_read: int = 0
    decode_seconds: float = 0.0
    wait_seconds: float = 0.0
    inference_seconds: float = 0.0
    batches: int = 0
    batch_places: int = 0
