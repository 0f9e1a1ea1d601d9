"""Results of steps by what they were made from: keys, and the places that keep them."""
