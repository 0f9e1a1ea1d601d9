"""White space as Go's `unicode.IsSpace` has it, which BuildKit's parser uses.

`str.isspace` and regular expressions also count U+001C to U+001F.
"""

from __future__ import annotations

from typing import Final

SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

# The separators between arguments: ASCII only, and no newline.
ARGUMENT_SPACE: Final = "\t\v\f\r "
