"""The report as a page: one file without script, that shows itself where nothing may be loaded from anywhere."""

from __future__ import annotations

from html import escape

from atomic_guide.operations.loadtest.report import Report
from atomic_guide.operations.loadtest.wording import short


def draw_page(report: Report) -> str:
    """An HTML document."""
    return f"<!doctype html><title>{escape(report.id)}</title><pre>{escape(short(report))}</pre>"
