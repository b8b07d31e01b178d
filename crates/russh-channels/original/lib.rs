//! Nothing. This package is here for its manifest, which says why.
