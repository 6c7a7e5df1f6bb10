//! What everything costs, in tables that the tests hold.
//!
//! Where one of them is wrong, its test prints what was measured in this very form: put that in its
//! place if the change was meant.

/// What a batch costs when it is one of many, whatever its size.
///
/// In the database, from the word that begins it there to the answer that ends it: how many
/// statements are executed, how often the worker waits for answers, how many statements it prepares,
/// how often the database commits. At the broker: how often the worker waits for confirms; and how
/// many messages it publishes for each one of the batch. A lane notes that batches are out for eight of
/// them together: in this walk that falls to the answers' ninth, whose save has one part more and is
/// prepared for it.
pub(crate) const BATCH: &str = "
step                       statements  trips  prepares  commits  waits  publishes
order.place.v1                      1      1         0        1      1          1
stock.reserved.v1                   2      2         0        1      1          1
payment.charged.v1 in 200           2      3         1        1      1          1
payment.charged.v1 in 50            2      2         0        1      1          1
payment.charged.v1 in 1             2      2         0        1      1          1
stock.reserve.v1                    4      2         0        1      1          1
order.confirmed.v1                  5      2         0        1      0          0
payment.charge.v1                   1      1         0        1      1          1
";

/// How many statements a worker executes outside of all batches in a life in which every loop goes
/// round once: looking at the schema, that one round, and noting what was sent last. A statement that
/// runs beside each batch shows up here, many times over.
pub(crate) const LIFE: &str = "
worker   statements
order            16
stock            14
payment          14
";

/// How many allocations each message of a batch of 200 takes at most: to be read, to be decided on
/// together with the others, outputs included, and in all from delivery to outputs over a store in
/// memory, with what the store takes for itself. No bound lies more than a tenth above what is
/// measured.
pub(crate) const ALLOCATIONS: &str = "
step                reading  deciding  in all
order.place.v1            9        38      81
stock.reserve.v1          9        39      85
stock.reserved.v1         5        34      72
payment.charge.v1         7        32      70
payment.charged.v1        6        35      73
order.confirmed.v1       10        16      50
";

/// A table as it stands above: the first column to the left, all others to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column| rows.iter().filter_map(|row| row.get(column)).map(String::len).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 { format!("{cell:width$}") } else { format!("  {cell:>width$}") }
        });
        format!("{}\n", cells.collect::<String>())
    };
    format!("\n{}", rows.iter().map(line).collect::<String>())
}

/// A row of a table.
pub(crate) fn row<T: ToString>(name: &str, cells: &[T]) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(cells.iter().map(T::to_string)).collect()
}

/// `count` by `by`, as a fraction if it must be.
pub(crate) fn ratio(count: usize, by: usize) -> String {
    if by > 0 && count.is_multiple_of(by) {
        (count / by).to_string()
    } else {
        format!("{count}/{by}")
    }
}

/// Says what was measured, to be put in the place of what it should have been.
pub(crate) fn told(name: &str, measured: &str) -> String {
    format!("`{name}` of workers/chaos/tests/guard/table.rs says otherwise; measured:\n{measured}")
}
