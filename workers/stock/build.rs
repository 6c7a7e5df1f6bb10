//! Sees to it that a new migration is compiled in: the macro that embeds them only knows the files it found.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations/stock");
}
