"""Publish: a partition's predictions, copied to where people work, and never an older content over a newer one."""

from incumbent.publish.content import Content, Published, content_of

__all__ = ["Content", "Published", "content_of"]
