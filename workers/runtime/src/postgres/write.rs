//! What a batch leaves in the database, as one statement: every table's part of it is a `WITH` of that.
//!
//! The server answers each statement by itself, and each answer wakes the worker. With few messages in a
//! batch that costs more than the rows do.

use std::fmt::{self, Write as _};

use tokio_postgres::types::ToSql;

use crate::postgres::session::Session;
use crate::store::StoreError;

/// An INSERT, UPDATE or DELETE of one table, and its parameters: most often columns, an array each.
///
/// All writes of a batch see the tables as they were before it, and none sees what another one does:
/// no two of them may concern the same row. They are done in their order, which is that of locking.
pub struct Write<'a> {
    sql: &'static str,
    columns: Vec<Box<dyn ToSql + Sync + Send + 'a>>,
    touches_all: bool,
    /// Whether its columns have no values: then there is nothing to do.
    is_empty: bool,
}

impl<'a> Write<'a> {
    /// `sql` is a constant, without RETURNING, and names its columns `$1`, `$2`, and so on.
    pub fn new(sql: &'static str) -> Self {
        Self { sql, columns: Vec::new(), touches_all: false, is_empty: false }
    }

    /// With one more column. Without values, nothing is written.
    #[must_use]
    pub fn with<T>(mut self, column: Vec<T>) -> Self
    where
        Vec<T>: ToSql + Sync + Send + 'a,
    {
        self.is_empty |= column.is_empty();
        if !self.is_empty {
            self.columns.push(Box::new(column));
        }
        self
    }

    /// With a parameter that is a value, and no column.
    #[must_use]
    pub fn with_value(mut self, value: impl ToSql + Sync + Send + 'a) -> Self {
        self.columns.push(Box::new(value));
        self
    }

    /// Fails unless as many rows are touched as the first column has values.
    #[must_use]
    pub fn touching_all(mut self) -> Self {
        self.touches_all = true;
        self
    }

    /// Whether it changes rows that are there.
    pub(super) fn changes(&self) -> bool {
        self.touches_all && !self.is_empty
    }
}

/// More than most statements are long, so that each is put together in one piece of memory.
const LENGTH: usize = 6_000;

/// A column: what `of` gives for each of `rows`.
pub fn each<'a, T, C>(rows: &'a [T], of: impl Fn(&'a T) -> C) -> Vec<C> {
    rows.iter().map(of).collect()
}

/// Does all of `writes`, in order, or nothing.
pub async fn write(session: Session<'_>, mut writes: Vec<Write<'_>>) -> Result<(), StoreError> {
    writes.retain(|write| !write.is_empty);
    if writes.is_empty() {
        return Ok(());
    }
    let columns = writes.iter().flat_map(|write| &write.columns);
    let columns: Vec<&(dyn ToSql + Sync)> = columns.map(|column| &**column as _).collect();
    session.execute(&joined(&writes), &columns).await.map(|_| ())
}

/// The one statement: each write under a name, with its columns numbered on from those before it. What
/// is selected is how many rows each touched, one after the other: a write that nobody asks for is done
/// at the end, and the last of them first.
fn joined(writes: &[Write<'_>]) -> String {
    let (mut sql, mut counts) = (String::with_capacity(LENGTH), String::new());
    let mut before = 0;
    for (place, Write { sql: part, columns, touches_all, .. }) in writes.iter().enumerate() {
        let (with, select) = if place == 0 { ("WITH", "SELECT") } else { (",", ",") };
        push(&mut sql, format_args!("{with} write_{place} AS ("));
        push_renumbered(&mut sql, part, before);
        sql.push_str(" RETURNING 1)");
        let count = format_args!("(SELECT count(*) FROM write_{place})");
        match touches_all {
            true => push(
                &mut counts,
                format_args!("{select} expect_all({count}, cardinality(${}))", before + 1),
            ),
            false => push(&mut counts, format_args!("{select} {count}")),
        }
        before += columns.len();
    }
    sql.push(' ');
    sql.push_str(&counts);
    sql
}

fn push(sql: &mut String, part: fmt::Arguments<'_>) {
    sql.write_fmt(part).expect("a string takes anything");
}

/// Adds `part` with `before` added to each number of a column.
fn push_renumbered(sql: &mut String, part: &str, before: usize) {
    let mut pieces = part.split('$');
    sql.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = piece.split_at(digits);
        let number = number.parse::<usize>().expect("`$` stands before the number of a column");
        push(sql, format_args!("${}", number + before));
        sql.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: &str = "INSERT INTO a SELECT * FROM unnest($1::text[], $2::int[])";
    const CHANGE: &str = "UPDATE b SET c = true WHERE id = ANY ($1)";

    #[test]
    fn columns_are_numbered_through_and_what_must_be_touched_is_asked_for() {
        let writes = [
            Write::new(PUT).with(vec!["a"]).with(vec![1]),
            Write::new(CHANGE).with(vec!["b"]).touching_all(),
            Write::new(CHANGE).with(vec!["c"]).touching_all(),
        ];
        assert_eq!(
            joined(&writes),
            "WITH write_0 AS (INSERT INTO a SELECT * FROM unnest($1::text[], $2::int[]) RETURNING 1), \
             write_1 AS (UPDATE b SET c = true WHERE id = ANY ($3) RETURNING 1), \
             write_2 AS (UPDATE b SET c = true WHERE id = ANY ($4) RETURNING 1) \
             SELECT (SELECT count(*) FROM write_0), expect_all((SELECT count(*) FROM write_1), cardinality($3)), \
             expect_all((SELECT count(*) FROM write_2), cardinality($4))"
        );
    }
}
