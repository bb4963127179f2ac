"""The configuration of stores of objects, section `[storage]`."""

import luigi

from tasks.base.params import plain


class StorageConfig(luigi.Config):
    """Arguments of fsspec's file systems; no parameter of a stage, so that no provenance records them."""

    use_cmdline_section = False

    options = luigi.DictParameter(
        config_path={"section": "storage", "name": "options"},
        default={},
        description="Arguments of fsspec's file systems by protocol, as a JSON object of objects.",
    )


def configure_storage() -> None:
    """Apply `[storage]` to this process; workers of an engine receive it from their driver."""
    from pipelines import storage

    storage.configure(plain(StorageConfig().options))
