//! Links that are ports of bridges.
