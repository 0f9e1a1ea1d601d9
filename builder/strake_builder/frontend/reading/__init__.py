"""From text to instructions: lines, heredocs, flags, arguments. `frontend.parse` puts them together."""
