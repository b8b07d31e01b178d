//! Links that carry much, for long, through changes of keys.
