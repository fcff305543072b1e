"""Where the queue is: in the database that jobs write to, or in a cluster of its own. Nothing else asks which."""

from __future__ import annotations

from entresol.storage.coupling import Coupling
from entresol.storage.jobs import Jobs
from entresol.storage.own_cluster import OwnCluster, OwnJobs
from entresol.storage.pools import Pools


def jobs_of(pools: Pools) -> Jobs:
    """Return the queue of these pools."""
    return Jobs(pools) if pools.queue is pools else OwnJobs(pools)


def coupling_of(pools: Pools) -> Coupling:
    """Return what ties that queue to transactions of these pools."""
    return Coupling(pools) if pools.queue is pools else OwnCluster(pools)
