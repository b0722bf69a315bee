"""State in a place that a team and CI share: one protocol over conditional writes, and the places that can do them."""
