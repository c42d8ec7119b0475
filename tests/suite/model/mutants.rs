//! Planners that are broken on purpose.
