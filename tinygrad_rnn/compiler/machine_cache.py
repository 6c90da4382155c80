"""The earlier name of ``compiler.runtime.code_folder``, for code that imports it from here."""

from .runtime.code_folder import cache_folder

__all__ = ["cache_folder"]
