//! To be filled in the next steps.
