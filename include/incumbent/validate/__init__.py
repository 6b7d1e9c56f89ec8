"""Validate: judge a delivery against its contract, set bad rows aside, commit the rest."""

from incumbent.validate.contract import Contract, contract_digests, load_contract
from incumbent.validate.ingest import ingest, ingest_or_raise
from incumbent.validate.replay import do_unanswered

__all__ = ["Contract", "contract_digests", "do_unanswered", "ingest", "ingest_or_raise", "load_contract"]
