"""The supported datasets, by name; a further one is one module and one line here."""

from pipelines.data.dataset import Dataset
from pipelines.data.datasets.coco2014 import Coco2014
from pipelines.data.datasets.custom import Custom
from pipelines.data.datasets.flickr8k import Flickr8k
from pipelines.data.datasets.flickr30k import Flickr30k
from pipelines.data.datasets.iaprtc12 import IaprTc12
from pipelines.data.datasets.shapes import Shapes
from schemas.errors import ConfigurationError

DATASETS: dict[str, Dataset] = {
    "coco2014": Coco2014(),
    "custom": Custom(),
    "flickr30k": Flickr30k(),
    "flickr8k": Flickr8k(),
    "iaprtc12": IaprTc12(),
    "shapes": Shapes(),
}


def find_dataset(name: str) -> Dataset:
    """Return the dataset called `name`.

    Raises:
        ConfigurationError: There is no such dataset; the message lists the names.
    """
    if name not in DATASETS:
        raise ConfigurationError(f"There is no dataset {name!r}; set `dataset` to one of {', '.join(DATASETS)}.")
    return DATASETS[name]
