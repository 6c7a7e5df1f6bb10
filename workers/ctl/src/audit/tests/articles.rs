//! Every violation of an article.

use crate::audit::articles::{Article, judge_article};

/// 100 came in, 6 went out, 4 are reserved.
fn article() -> Article {
    Article { counts: Some((94, 4)), entries: 4, ledger: (94, 4), posted: (1, 100), made: (1, 100) }
}

/// An article is changed, and violates this.
type Case = (&'static str, fn(&mut Article));

#[test]
fn an_article_is_the_sum_of_its_ledger() {
    assert!(judge_article(&article()).is_empty());
    assert!(judge_article(&Article::default()).is_empty());
    let cases: [Case; 7] = [
        ("article_lost", |it| it.counts = None),
        ("on_hand_wrong", |it| it.ledger.0 = 93),
        ("reserved_wrong", |it| it.ledger.1 = 5),
        ("stock_impossible", |it| (it.counts, it.ledger) = (Some((94, 95)), (94, 95))),
        ("stock_impossible", |it| (it.counts, it.ledger) = (Some((94, -1)), (94, -1))),
        ("adjustments_wrong", |it| it.posted = (2, 200)),
        ("adjustments_wrong", |it| it.made = (0, 0)),
    ];
    for (code, change) in cases {
        let mut article = article();
        change(&mut article);
        let found: Vec<_> = judge_article(&article).iter().map(|it| it.code()).collect();
        assert_eq!(found, [code]);
    }
}
