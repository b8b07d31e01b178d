//! Whole-program tests: see the modules.
