//! What may not be, and what both programs say of it.
