"""The documents that Strake's parts and its users exchange: one place for each field's meaning."""
