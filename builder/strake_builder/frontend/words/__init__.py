"""Shell words with variables, as BuildKit's shell package reads them."""
