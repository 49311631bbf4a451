# The names that this package offers, and where each is defined.

from .built import Built as Built
from .loading import PipelineFile as PipelineFile, load as load
from .mistakes import Mistake as Mistake, PipelineFileError as PipelineFileError
from .model import PipelineModel as PipelineModel
from .schema import json_schema as json_schema
from .writing import to_toml as to_toml
