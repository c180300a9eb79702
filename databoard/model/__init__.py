"""The tables, one file per subject; `databoard.model.tables` imports them all."""
