"""Matrices and logs of pairs that anybody made, and the formats that link-map writes."""
