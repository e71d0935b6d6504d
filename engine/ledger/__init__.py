"""Rules of the ledger: what a posting moves, who may overdraw, how a hold ends, what is backed."""
