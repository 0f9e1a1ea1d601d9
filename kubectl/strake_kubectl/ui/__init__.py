"""`kubectl strake ui`: builds in a browser, served by the caller's own machine with the caller's rights."""
