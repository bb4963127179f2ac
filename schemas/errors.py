"""Typed errors. Each message is one sentence that names the file, the record and the fix."""

from schemas.text import escape_control_characters


class MRNNError(Exception):
    """Base class of errors that a user can fix; shown without a traceback.

    Line ends and control characters in the message are escaped.
    """

    def __init__(self, message: str):
        """Escape line ends and control characters of the sentence."""
        super().__init__(escape_control_characters(message))


class InputError(MRNNError):
    """An input file (annotations, features, images, archives) is invalid."""


class ArtifactError(MRNNError):
    """An artifact of the pipeline is missing, damaged or inconsistent with the others."""


class ConfigurationError(MRNNError):
    """A parameter or a combination of parameters is invalid."""


class DownloadError(MRNNError):
    """A file cannot be downloaded from any of its URLs, or is not the expected file."""


class UploadError(MRNNError):
    """The destination of a release is unreachable or not writable."""


class StorageError(MRNNError, OSError):
    """A store of objects cannot be used."""


class MissingObjectError(StorageError, FileNotFoundError):
    """An object, or its bucket, does not exist."""


class StorageAccessError(StorageError, PermissionError):
    """A store refuses access."""


class RunnerError(MRNNError):
    """A Beam runner is unreachable or failed."""


class ResourceError(MRNNError):
    """The machine lacks a resource, for example memory."""


class TrainingError(MRNNError):
    """Training cannot continue, for example because the loss is not finite."""
