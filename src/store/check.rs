//! Reading everything again, to name what is damaged.
