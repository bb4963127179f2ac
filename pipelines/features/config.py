"""Options of feature extraction."""

from dataclasses import dataclass

from schemas.options import check_choices, option


@dataclass(frozen=True)
class ExtractionConfig:
    """Options of ExtractFeatures."""

    backbone: str = option(
        "vgg16/fc2",
        "Backbone: efficientnet-lite0|lite1|lite2[/blockN[,blockM]], vgg16|vgg19/fc2|fc1|block5_pool, "
        "alexnet/fc7|fc6|pool5, keras:NAME, hub:HANDLE or concat:A+B.",
    )
    weights: str = option("imagenet", "Weights: imagenet, random:SEED or a weights file; hub modules have their own.")
    input_size: int = option(0, "Side of the network's input in pixels (0 = the backbone's own).")
    crop: str = option(
        "center",
        "How images become square; the features of several crops are averaged.",
        choices=("center", "squash", "squash_flip", "ten_crop"),
    )
    pool: str = option(
        "average",
        "Pooling of the last feature map (efficientnet-lite, keras:): average, or grid:N, the averages of N x N cells.",
    )
    dtype: str = option("float16", "Type of the stored features.", choices=("float16", "float32"))
    precision: str = option(
        "float32", "Precision of the network.", choices=("float32", "mixed_float16", "mixed_bfloat16")
    )
    xla: bool = option(False, "Compile the network with XLA.", significant=False)
    batch_size: int = option(32, "Images per batch.", significant=False)
    decode_threads: int = option(
        0, "Threads that read and decode images ahead (0 = one per core of the process).", significant=False
    )
    inference_threads: int = option(
        0, "Threads of the network on a CPU (0 = one per core of the process).", significant=False
    )
    max_reject_fraction: float = option(
        0.01, "The stage fails if a larger fraction of the images cannot be read.", significant=False
    )
    images_at: str = option(
        "", "Directory or URL of the dataset's files for workers, if it differs from the driver's.", significant=False
    )
    merge_limit: int = option(
        200_000,
        "Maximum number of images whose features are merged into one file; those of more stay in a file per shard.",
        significant=False,
    )

    def __post_init__(self) -> None:
        check_choices(self)
