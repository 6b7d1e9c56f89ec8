"""Validate: judge a delivery against its contract, set bad rows aside, commit the rest."""

from incumbent.validate.contract import Contract, contract_digests, load_contract
from incumbent.validate.ingest import ingest, ingest_or_raise

__all__ = ["Contract", "contract_digests", "ingest", "ingest_or_raise", "load_contract"]
