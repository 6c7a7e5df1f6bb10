//! Whole systems in memory, in virtual time, from a seed: the loops that ship, on servers as nasty as real ones.
