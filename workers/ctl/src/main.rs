//! The program `orderly`: reads the arguments, runs the command and says how it ended.

fn main() {}
