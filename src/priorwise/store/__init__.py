"""The only importer of lance: pinned reads, digests, atomic writes, s3 staging."""
