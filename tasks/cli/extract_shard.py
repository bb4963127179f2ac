"""`mrnn extract-shard`: the features of one shard, for clusters whose scheduler starts processes."""

from typing import Annotated

import typer

from tasks.cli.options import ConfigOption


def extract_shard(
    manifest: Annotated[
        str, typer.Option(help="Manifest of the shard: a path or a URL; with --index, the directory of manifests.")
    ],
    index: Annotated[
        int | None, typer.Option(min=0, help="Number of the manifest in the directory, in the order of the images.")
    ] = None,
    threads: Annotated[
        int, typer.Option(min=0, help="Threads for decoding and for the network (0 = as many as the driver planned).")
    ] = 0,
    config: ConfigOption = None,
) -> None:
    """Extract the features of one shard of a planned extraction.

    Plan the shards with `mrnn run CONFIG ExtractFeatures --set engine.name=manual`, start this command for each
    manifest, by any scheduler, then run the first command again. A complete shard is not computed again.
    """
    from pipelines.engines.shards import shard_of
    from pipelines.features.extract_features import extract_manifest, list_manifests
    from schemas.errors import ConfigurationError
    from tasks.base.storage import configure_storage
    from tasks.cli.pipeline import open_configuration

    open_configuration(config)
    configure_storage()
    if index is not None:
        manifests = list_manifests(manifest)
        if index >= len(manifests):
            raise ConfigurationError(
                f"{manifest} has {len(manifests)} manifests; --index is 0 to {len(manifests) - 1}."
            )
        manifest = manifests[index]
    computed = extract_manifest(manifest, threads)
    print(f"{shard_of(manifest).path} {'is complete' if computed else 'was complete already'}.")
