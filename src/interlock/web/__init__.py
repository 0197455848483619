"""The web page: the same read model as every surface, rendered on the server. Rule: it decides nothing."""

from interlock.web.site import Site, application

__all__ = ["Site", "application"]
