"""Results of steps by what they were made from: keys, and the stores that keep them."""
