"""Backups: snapshots of the database and the files, kept, verified and restored."""
