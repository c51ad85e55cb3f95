"""Reading a Celery code base from its source alone: what `dualrun migrate` knows before a person decides anything."""

from gateway.migrate.finding import CallSite, FoundParameter, FoundTask, Route, Scan, Schedule, Totals, Unparsed
from gateway.migrate.scan import scan_path, scan_sources

__all__ = ["CallSite", "FoundParameter", "FoundTask", "Route", "Scan", "Schedule", "Totals", "Unparsed", "scan_path", "scan_sources"]
