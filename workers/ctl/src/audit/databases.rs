//! The ways to read facts: a range of orders as a stream, or orders by their ids.
//!
//! Each side is one statement on one database, so what a row says belongs to one moment. Whether
//! a range or ids are asked for is the same statement but for its condition.

use std::collections::BTreeMap;
use std::pin::Pin;

use anyhow::{Context, Result};
use futures_util::{Stream, StreamExt};
use orderly_contracts::routes::Party;
use orderly_runtime::topology::WORKERS;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use crate::audit::facts::{DeadLetter, Facts, OrderSide, PaymentSide, StockSide};
use crate::audit::rows;
use crate::audit::sql;

/// The three databases, with their statements.
pub(crate) struct Databases {
    clients: BTreeMap<Party, Client>,
    bound: Statement,
    sides: BTreeMap<Party, Side>,
    versions: Statement,
}

/// The statements of one database.
struct Side {
    range: Statement,
    ids: Statement,
    letters: Statement,
}

/// Orders after the first id, up to and including the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) after: String,
    pub(crate) up_to: String,
}

/// Above every id, as no text begins with a higher character.
const END: &str = "\u{10FFFF}";

impl Databases {
    /// Takes the connections over: the audit only reads, and plans for the values at hand.
    pub(crate) async fn new(clients: BTreeMap<Party, Client>) -> Result<Self> {
        let mut sides = BTreeMap::new();
        for party in WORKERS {
            let side = Side::prepare(&clients[&party], party).await;
            let unreadable = || format!("the {party} database can't be read: is it migrated?");
            sides.insert(party, side.with_context(unreadable)?);
        }
        let order = &clients[&Party::Order];
        let bound = order.prepare(sql::BOUND).await?;
        let versions = order.prepare(sql::VERSIONS).await?;
        Ok(Self { clients, bound, sides, versions })
    }

    /// The connection to the database of `party`.
    pub(crate) fn of(&self, party: Party) -> &Client {
        &self.clients[&party]
    }

    /// The range of the next `orders` orders after `after`; the last one reaches to the end, for
    /// stock and payment may know ids beyond it.
    pub(crate) async fn range(&self, after: &str, orders: i64) -> Result<(Range, bool)> {
        let row = self.of(Party::Order).query_one(&self.bound, &[&after, &orders]).await?;
        let is_last = row.get::<_, i64>(1) < orders;
        let bound: Option<String> = row.get(0);
        let up_to = bound.filter(|_| !is_last).unwrap_or_else(|| END.to_owned());
        let after = after.to_owned();
        Ok((Range { after, up_to }, is_last))
    }

    /// Reads everything about the orders of a range, in their order.
    pub(crate) async fn read_range(&self, range: &Range) -> Result<Walk> {
        let parameters = [range.after.as_str(), range.up_to.as_str()];
        let (order, stock, payment) = tokio::try_join!(
            self.cursor(Party::Order, &parameters, rows::order),
            self.cursor(Party::Stock, &parameters, rows::stock),
            self.cursor(Party::Payment, &parameters, rows::payment),
        )?;
        Ok(Walk { order, stock, payment })
    }

    async fn cursor<T: Default + 'static>(
        &self,
        party: Party,
        parameters: &[&str],
        read: fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Cursor<T>> {
        let statement = &self.sides[&party].range;
        let rows = self.of(party).query_raw(statement, parameters).await?;
        let rows = rows.map(move |row| {
            let row = row?;
            Ok((row.try_get(0)?, read(&row)?))
        });
        let mut cursor = Cursor { rows: Box::pin(rows), head: None };
        cursor.advance().await?;
        Ok(cursor)
    }

    /// Reads everything about these orders. The order is read before stock and payment and once
    /// more after them: if it is still the same, all three belong together.
    pub(crate) async fn read_ids(&self, ids: &[String]) -> Result<Vec<Facts>> {
        let order: BTreeMap<String, OrderSide> = self.by_id(Party::Order, ids, rows::order).await?;
        let (mut stock, mut payment) = tokio::try_join!(
            self.by_id::<StockSide>(Party::Stock, ids, rows::stock),
            self.by_id::<PaymentSide>(Party::Payment, ids, rows::payment),
        )?;
        let rows = self.of(Party::Order).query(&self.versions, &[&ids]).await?;
        let after: BTreeMap<String, i64> =
            rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let mut order = order;
        Ok(ids
            .iter()
            .map(|id| {
                let side = order.remove(id).unwrap_or_default();
                let before = side.order.as_ref().map(|order| order.version);
                Facts {
                    order_id: id.clone(),
                    has_moved: side.unreadable.is_none() && before != after.get(id).copied(),
                    order: side,
                    stock: stock.remove(id).unwrap_or_default(),
                    payment: payment.remove(id).unwrap_or_default(),
                    letters: vec![],
                }
            })
            .collect())
    }

    async fn by_id<T>(
        &self,
        party: Party,
        ids: &[String],
        read: fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<BTreeMap<String, T>> {
        let rows = self.of(party).query(&self.sides[&party].ids, &[&ids]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, read(row)?))).collect()
    }

    /// Adds to each of `facts` the dead letters about its order.
    pub(crate) async fn add_letters(&self, facts: &mut [Facts]) -> Result<()> {
        let ids: Vec<&str> = facts.iter().map(|one| one.order_id.as_str()).collect();
        let mut letters: BTreeMap<String, Vec<DeadLetter>> = BTreeMap::new();
        for party in WORKERS {
            let letters_of = &self.sides[&party].letters;
            let parameters: [&(dyn ToSql + Sync); 1] = [&ids];
            for row in self.of(party).query(letters_of, &parameters).await? {
                letters.entry(row.get(0)).or_default().push(DeadLetter {
                    id: row.get(1),
                    reason: row.get(2),
                    worker: party.name(),
                });
            }
        }
        for one in facts {
            one.letters = letters.remove(&one.order_id).unwrap_or_default();
        }
        Ok(())
    }
}

impl Side {
    async fn prepare(client: &Client, party: Party) -> Result<Self, tokio_postgres::Error> {
        client.batch_execute(sql::SESSION).await?;
        Ok(Self {
            range: client.prepare(&sql::side(party, sql::IN_RANGE)).await?,
            ids: client.prepare(&sql::side(party, sql::BY_ID)).await?,
            letters: client.prepare(sql::LETTERS).await?,
        })
    }
}

/// A row with the id it is ordered by.
type Keyed<T> = Result<(String, T), tokio_postgres::Error>;

/// The rows of one side, with the next one at hand.
struct Cursor<T> {
    rows: Pin<Box<dyn Stream<Item = Keyed<T>> + Send>>,
    head: Option<(String, T)>,
}

impl<T: Default> Cursor<T> {
    async fn advance(&mut self) -> Result<()> {
        self.head = self.rows.next().await.transpose()?;
        Ok(())
    }

    fn id(&self) -> Option<&String> {
        self.head.as_ref().map(|(id, _)| id)
    }

    /// What this side says about `id`: its head, or nothing.
    async fn take(&mut self, id: &str) -> Result<T> {
        match self.head.take_if(|(head, _)| head == id) {
            None => Ok(T::default()),
            Some((_, side)) => {
                self.advance().await?;
                Ok(side)
            }
        }
    }
}

/// A range of orders, joined from three sorted streams; only the heads are ever held.
pub(crate) struct Walk {
    order: Cursor<OrderSide>,
    stock: Cursor<StockSide>,
    payment: Cursor<PaymentSide>,
}

impl Walk {
    /// The facts of the next order.
    pub(crate) async fn next(&mut self) -> Result<Option<Facts>> {
        let heads = [self.order.id(), self.stock.id(), self.payment.id()];
        let Some(id) = heads.into_iter().flatten().min().cloned() else {
            return Ok(None);
        };
        Ok(Some(Facts {
            order: self.order.take(&id).await?,
            stock: self.stock.take(&id).await?,
            payment: self.payment.take(&id).await?,
            letters: vec![],
            has_moved: false,
            order_id: id,
        }))
    }
}
