"""Files and trees in a root file system: looked up, copied, compared, removed."""
