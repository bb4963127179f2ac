"""All Luigi stages by name. A stage is imported when it is needed."""

from functools import cache
from importlib import import_module
from typing import Any

STAGES = {
    "BuildReport": "tasks.report.build_report",
    "DownloadDataset": "tasks.data.download_dataset",
    "EvaluateCaptions": "tasks.evaluation.evaluate_captions",
    "EvaluatePerplexity": "tasks.evaluation.evaluate_perplexity",
    "EvaluateRetrieval": "tasks.evaluation.evaluate_retrieval",
    "ExtractFeatures": "tasks.features.extract_features",
    "ExtractTunedFeatures": "tasks.training.extract_tuned_features",
    "FindNeighbors": "tasks.captions.find_neighbors",
    "FineTuneBackbone": "tasks.training.fine_tune_backbone",
    "FullPipeline": "tasks.full_pipeline",
    "GenerateCaptions": "tasks.captions.generate_captions",
    "ImportFeatures": "tasks.features.import_features",
    "PoolCaptions": "tasks.captions.pool_captions",
    "PrepareAnnotations": "tasks.data.prepare_annotations",
    "PublishFeatures": "tasks.release.publish_features",
    "RefineFeatures": "tasks.training.refine_features",
    "RerankCaptions": "tasks.captions.rerank_captions",
    "TokenizeCaptions": "tasks.data.tokenize_captions",
    "TrainModel": "tasks.training.train_model",
    "TrainSelfCritical": "tasks.training.train_self_critical",
    "TuneReranking": "tasks.captions.tune_reranking",
}
"""Name of each stage -> its module."""


@cache
def load_stages() -> dict[str, Any]:
    """Import all stages, which registers them with Luigi, and load the layered configuration; return them by name."""
    from tasks.configuration import load_configuration

    load_configuration()
    return {name: getattr(import_module(module), name) for name, module in STAGES.items()}
