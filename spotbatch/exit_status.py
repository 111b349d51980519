"""What a process that has ended says by its exit status, beside 0 and 143."""

UNREACHABLE = 75
"""Exit status when the ledger could not be reached: what the process held is lost, and nobody's failure."""

BAD_JOB = 64
"""Exit status when the job's name leads nowhere: trying again is no use."""

CANNOT_START = 70
"""Exit status when the job's `setup` raised: no task was touched."""

CANNOT_POWER_OFF = 77
"""Exit status of an agent whose machine ought to be off, and that cannot do it from inside a container: the service manager does."""
