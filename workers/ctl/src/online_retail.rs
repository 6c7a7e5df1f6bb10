//! Real orders from the *Online Retail* data: every invoice is an order, or refused with a reason.
//!
//! Source of the data: Daqing Chen, *Online Retail*, UCI Machine Learning Repository, 2015,
//! doi 10.24432/C5BW33, licence CC BY 4.0.
//!
//! Rows are read one by one and the rows of an invoice follow each other, so memory holds one
//! invoice at a time, and the numbers of those that were read.

mod invoice;
mod price;

use std::collections::{HashSet, VecDeque};
use std::io::Read;

use anyhow::{Context, Result};
use csv::{ByteRecord, Reader, ReaderBuilder};
use orderly_contracts::order::PlaceOrder;

use crate::publish::record::Refused;
use invoice::{Invoice, Row};

pub(crate) use invoice::stable_hash;
pub use invoice::{is_service, payment_token};
pub use price::{PriceError, minor_units};

/// What an invoice came to.
pub type Imported = Result<PlaceOrder, Refused>;

/// The message id of the order of an invoice.
pub fn message_id(order: &PlaceOrder) -> String {
    format!("online-retail:{}", order.order_id)
}

/// One file, with its columns found.
struct Source<R> {
    name: String,
    reader: Reader<R>,
    columns: Columns,
}

/// Where the fields that matter stand in a row.
struct Columns {
    invoice: usize,
    sku: usize,
    quantity: usize,
    price: usize,
    customer: usize,
}

impl<R: Read> Source<R> {
    fn open((name, input): (String, R)) -> Result<Self> {
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(input);
        let columns = Columns::find(reader.byte_headers()?)
            .with_context(|| format!("{name} is no Online Retail file"))?;
        Ok(Self { name, reader, columns })
    }
}

impl Columns {
    fn find(headings: &ByteRecord) -> Result<Self> {
        let find = |name: &str| {
            let mark = b"\xef\xbb\xbf".as_slice();
            let found = headings.iter().position(|heading| {
                heading.strip_prefix(mark).unwrap_or(heading) == name.as_bytes()
            });
            found.with_context(|| format!("its first row has no column {name}"))
        };
        Ok(Self {
            invoice: find("InvoiceNo")?,
            sku: find("StockCode")?,
            quantity: find("Quantity")?,
            price: find("UnitPrice")?,
            customer: find("CustomerID")?,
        })
    }
}

/// The invoices of several files, in the order of their rows. An error is a file that can't be
/// read; a refused invoice is none.
pub struct Importer<R> {
    sources: VecDeque<Source<R>>,
    record: ByteRecord,
    current: Option<Invoice>,
    finished: HashSet<String>,
}

impl<R: Read> Importer<R> {
    /// Checks the heading of every file before anything is imported from one.
    pub fn new(files: impl IntoIterator<Item = (String, R)>) -> Result<Self> {
        let sources: Result<VecDeque<_>> = files.into_iter().map(Source::open).collect();
        Ok(Self {
            sources: sources?,
            record: ByteRecord::new(),
            current: None,
            finished: HashSet::new(),
        })
    }

    /// Reads on until an invoice is whole.
    fn advance(&mut self) -> Result<Option<Imported>> {
        while let Some(source) = self.sources.front_mut() {
            let name = &source.name;
            let is_row = source
                .reader
                .read_byte_record(&mut self.record)
                .with_context(|| format!("can't read {name}"))?;
            if !is_row {
                self.sources.pop_front();
                continue;
            }
            let line = self.record.position().map_or(0, csv::Position::line);
            let text = |index: usize| {
                let field = self.record.get(index).unwrap_or_default();
                String::from_utf8_lossy(field).trim().to_owned()
            };
            let columns = &source.columns;
            let number = text(columns.invoice);
            if number.is_empty() {
                let refused = Refused::new(name, line, "no_invoice", "the row has no InvoiceNo");
                return Ok(Some(Err(refused)));
            }
            let row = Row {
                line,
                sku: text(columns.sku),
                quantity: text(columns.quantity),
                price: text(columns.price),
                customer: text(columns.customer),
            };
            match &mut self.current {
                Some(invoice) if invoice.number == number => invoice.push(row),
                current => {
                    let invoice = Invoice::new(name, number, row);
                    if let Some(whole) = current.replace(invoice) {
                        return Ok(Some(self.finish(whole)));
                    }
                }
            }
        }
        let last = self.current.take();
        Ok(last.map(|invoice| self.finish(invoice)))
    }

    fn finish(&mut self, invoice: Invoice) -> Imported {
        // Its first rows are on their way as an order by now, so the rest can't become one.
        if !self.finished.insert(invoice.number.clone()) {
            let text = "rows of this invoice stand apart; only the first of them were imported";
            return Err(invoice.refused("rows_apart", text));
        }
        invoice.into_order()
    }
}

impl<R: Read> Iterator for Importer<R> {
    type Item = Result<Imported>;

    fn next(&mut self) -> Option<Result<Imported>> {
        let item = self.advance().transpose();
        if let Some(Err(_)) = item {
            // A broken file would give the same error for ever.
            self.sources.clear();
            self.current = None;
        }
        item
    }
}

#[cfg(test)]
mod tests;
