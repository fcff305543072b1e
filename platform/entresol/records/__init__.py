"""The only read and write path for resources: the cache in front of the store, coherent under the rules of `cache/`."""

from entresol.records.demand import ANYTHING, CACHE, NEAR, Demand, Found
from entresol.records.hits import Hits
from entresol.records.listings import Listings
from entresol.records.records import Purged, Records

__all__ = ["ANYTHING", "CACHE", "NEAR", "Demand", "Found", "Hits", "Listings", "Purged", "Records"]
