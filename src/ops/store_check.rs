//! Re-reads a store and names what is damaged.
