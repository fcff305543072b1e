"""How commands name a resource: by the full name of its message."""

from __future__ import annotations

from entresol.errors import ConfigurationError
from entresol.schema.model import Model, Resource


def resource_of(model: Model, message: str) -> Resource:
    """Return the resource of `message`, such as `stories.v1.Story`.

    Raises:
        ConfigurationError: there is none; the text lists those that there are.
    """
    try:
        return model.by_message[message]
    except KeyError as error:
        known = ", ".join(sorted(model.by_message))
        raise ConfigurationError(f"{message} is not a resource; the resources are {known}") from error
