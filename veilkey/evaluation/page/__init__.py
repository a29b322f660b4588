"""The report as one page of HTML: no script, nothing from the network, made from the report dictionary alone."""

from veilkey.evaluation.page.page import render

__all__ = ["render"]
