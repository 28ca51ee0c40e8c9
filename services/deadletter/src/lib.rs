//! An index of the dead letters.
