"""From the syntax tree to the stages that a target needs."""
