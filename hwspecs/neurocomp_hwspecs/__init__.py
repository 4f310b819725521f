"""The hardware specs that ship with neurocomp, one YAML file per chip."""
