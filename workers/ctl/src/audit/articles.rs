//! The stock conserved per article: every count is the sum of its ledger, page by page.
//!
//! An article and its ledger change in one transaction and are read in one statement, so a
//! difference is a violation at once, on a running system too.

use std::pin::pin;

use anyhow::Result;
use futures_util::TryStreamExt;
use orderly_contracts::routes::Party;
use serde::Serialize;
use tokio_postgres::Row;

use crate::audit::databases::Databases;
use crate::audit::sql;
use crate::audit::tally::Tally;
use crate::audit::violation::Violation;

/// How many articles are read in one statement.
const PAGE: i64 = 10_000;
/// Above every article, as no text begins with a higher character.
const END: &str = "\u{10FFFF}";

/// What all articles come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Articles {
    pub(crate) articles: u64,
    pub(crate) on_hand: i128,
    pub(crate) reserved: i128,
    pub(crate) ledger_entries: i64,
}

/// An article, with the sums of its ledger and of its adjustments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Article {
    /// On hand and reserved, if the article is there.
    pub(crate) counts: Option<(i64, i64)>,
    pub(crate) entries: i64,
    /// What the ledger says is on hand and reserved.
    pub(crate) ledger: (i64, i64),
    /// How many adjustments were posted, and their sum.
    pub(crate) posted: (i64, i64),
    /// How many adjustments were made, and their sum.
    pub(crate) made: (i64, i64),
}

/// What is wrong with an article.
pub(crate) fn judge_article(article: &Article) -> Vec<Violation> {
    let mut violations = Vec::new();
    match article.counts {
        None if article.entries > 0 => {
            violations.push(Violation::ArticleLost { entries: article.entries })
        }
        None => {}
        Some((on_hand, reserved)) => {
            if article.ledger.0 != on_hand {
                let ledger = article.ledger.0;
                violations.push(Violation::OnHandWrong { on_hand, ledger });
            }
            if article.ledger.1 != reserved {
                let ledger = article.ledger.1;
                violations.push(Violation::ReservedWrong { reserved, ledger });
            }
            if !(0..=on_hand).contains(&reserved) {
                violations.push(Violation::StockImpossible { on_hand, reserved });
            }
        }
    }
    if article.made != article.posted {
        violations.push(Violation::AdjustmentsWrong {
            made: article.made.0,
            made_sum: article.made.1,
            posted: article.posted.0,
            posted_sum: article.posted.1,
        });
    }
    violations
}

/// Judges every article.
pub(crate) async fn audit_articles(databases: &Databases, tally: &mut Tally) -> Result<Articles> {
    let stock = databases.of(Party::Stock);
    let bound = stock.prepare(sql::ARTICLE_BOUND).await?;
    let articles = stock.prepare(sql::ARTICLES).await?;
    let mut sums = Articles::default();
    let mut after = String::new();
    loop {
        let row = stock.query_one(&bound, &[&after, &PAGE]).await?;
        let is_last = row.get::<_, i64>(1) < PAGE;
        let up_to: Option<String> = row.get(0);
        let up_to = up_to.filter(|_| !is_last).unwrap_or_else(|| END.to_owned());
        let mut rows = pin!(stock.query_raw(&articles, [&after, &up_to]).await?);
        while let Some(row) = rows.try_next().await? {
            let (sku, article) = read(&row)?;
            let (on_hand, reserved) = article.counts.unwrap_or_default();
            sums.articles += 1;
            sums.on_hand += i128::from(on_hand);
            sums.reserved += i128::from(reserved);
            sums.ledger_entries += article.entries;
            for violation in judge_article(&article) {
                tally.violate("article", &sku, &violation)?;
            }
        }
        if is_last {
            return Ok(sums);
        }
        after = up_to;
    }
}

fn read(row: &Row) -> Result<(String, Article), tokio_postgres::Error> {
    let number = |index| {
        let value: Option<i64> = row.try_get(index)?;
        Ok::<_, tokio_postgres::Error>(value.unwrap_or_default())
    };
    let on_hand: Option<i64> = row.try_get(1)?;
    let article = Article {
        counts: on_hand.map(|on_hand| Ok((on_hand, number(2)?))).transpose()?,
        entries: number(3)?,
        ledger: (number(4)?, number(5)?),
        posted: (number(6)?, number(7)?),
        made: (number(8)?, number(9)?),
    };
    Ok((row.try_get(0)?, article))
}
