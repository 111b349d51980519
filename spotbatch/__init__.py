"""Batch work that survives Spot interruptions: notice, checkpoint, give back, resume."""

from spotbatch.notice import Notice
from spotbatch.worker import BatchWorker

__all__ = ["BatchWorker", "Notice"]
