//! Tables of figures, for people.
