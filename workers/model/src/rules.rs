//! The rules: what must hold at every moment, and what must hold whenever everything rests.

use orderly_contracts::order::OrderStatus;

use crate::configuration::Configuration;
use crate::fact::{self, Fact, Standing};
use crate::moment::{Charge, Moment};
use crate::place::{self, ITEMS, ORDERS};
use crate::tables::{Content, Tables};

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Reserved pieces are there, and nothing is below zero.
    NothingOversold,
    /// Articles and reservations are the sums of their ledger.
    StockConserved,
    /// One capture an order, and no refund without one.
    ChargedOnce,
    /// The two sides of the ledger add up to zero, and payments are the sums of it.
    MoneyConserved,
    /// One ending in the history, one announced.
    EndsOnce,
    /// What has ended never changes.
    EndedStays,
    /// Every change of an order counts one up.
    VersionsRise,
    /// No message between workers becomes a dead letter.
    NothingDies,
    /// Who waits for an answer has a timer, and nobody else has.
    WaitsInVainForNothing,
    /// Questions come to an end.
    AsksNotForEver,
    /// At rest: every order has ended, and nobody acts for an order that is not known.
    RestsEnded,
    /// At rest: confirmed means that the goods are handed over and the total is captured.
    ConfirmedIsWhole,
    /// At rest: rejected and cancelled mean that nothing is held and nothing is charged.
    UndoneIsNothing,
    /// At rest: the provider has done what the ledger says.
    ProviderAgrees,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 14] = [
        Self::NothingOversold,
        Self::StockConserved,
        Self::ChargedOnce,
        Self::MoneyConserved,
        Self::EndsOnce,
        Self::EndedStays,
        Self::VersionsRise,
        Self::NothingDies,
        Self::WaitsInVainForNothing,
        Self::AsksNotForEver,
        Self::RestsEnded,
        Self::ConfirmedIsWhole,
        Self::UndoneIsNothing,
        Self::ProviderAgrees,
    ];

    /// The rule in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NothingOversold => "nothing is oversold",
            Self::StockConserved => "stock is the sum of its ledger",
            Self::ChargedOnce => "an order is charged once and refunded once",
            Self::MoneyConserved => "every movement of money is balanced",
            Self::EndsOnce => "an order ends once and says so once",
            Self::EndedStays => "what has ended stays as it is",
            Self::VersionsRise => "versions rise by one",
            Self::NothingDies => "no message between workers is refused",
            Self::WaitsInVainForNothing => "who waits has a deadline",
            Self::AsksNotForEver => "nobody asks for ever",
            Self::RestsEnded => "at rest every order has ended",
            Self::ConfirmedIsWhole => "at rest a confirmed order has its goods and is paid",
            Self::UndoneIsNothing => "at rest an order that failed holds and costs nothing",
            Self::ProviderAgrees => "at rest the provider agrees with the ledger",
        }
    }

    /// Its bit among those of a moment.
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Marks the rules that `moment` breaks.
pub fn judge(configuration: &Configuration, tables: &Tables, moment: &mut Moment) {
    let view = View { configuration, tables, moment };
    let mut broken = view.articles();
    let is_at_rest = view.is_at_rest();
    for order in 0..ORDERS {
        broken |= view.order(order);
        if is_at_rest {
            broken |= view.order_at_rest(order);
        }
    }
    moment.broken |= broken;
}

/// A moment with what its numbers mean.
struct View<'a> {
    configuration: &'a Configuration,
    tables: &'a Tables,
    moment: &'a Moment,
}

fn breaks(is_broken: bool, rule: Rule) -> u32 {
    if is_broken { rule.bit() } else { 0 }
}

impl View<'_> {
    fn fact(&self, place: usize) -> Option<Fact> {
        self.tables.row(self.moment.rows[place]).map(|row| row.fact)
    }

    fn saga(&self, order: usize) -> Option<fact::Order> {
        match self.fact(place::saga(order)) {
            Some(Fact::Order(saga)) => Some(saga),
            _ => None,
        }
    }

    fn reservation(&self, order: usize) -> Option<fact::Reservation> {
        match self.fact(place::reservation(order)) {
            Some(Fact::Reservation(reservation)) => Some(reservation),
            _ => None,
        }
    }

    fn payment(&self, order: usize) -> Option<fact::Payment> {
        match self.fact(place::payment(order)) {
            Some(Fact::Payment(payment)) => Some(payment),
            _ => None,
        }
    }

    /// Nothing is on its way but what clients have sent, and no order waits. The timers of
    /// reservations are a safety net: at rest nobody may need it.
    fn is_at_rest(&self) -> bool {
        let waits = (0..ORDERS).any(|order| self.moment.armed[place::order_timer(order)] != 0);
        !waits && self.moment.flight.iter().all(|message| self.tables.sent(*message).is_clients)
    }

    fn articles(&self) -> u32 {
        let mut broken = 0;
        for item in 0..ITEMS {
            let (on_hand, reserved) = match self.fact(place::article(item)) {
                Some(Fact::Article { on_hand, reserved }) => (on_hand, reserved),
                _ => (0, 0),
            };
            let books = self.moment.books.articles[item];
            let held: i16 = self.moment.books.orders.iter().map(|order| order.held[item]).sum();
            broken |= breaks(reserved < 0 || on_hand < reserved, Rule::NothingOversold);
            let is_sum = (books.on_hand, books.reserved, held) == (on_hand, reserved, reserved);
            broken |= breaks(!is_sum, Rule::StockConserved);
        }
        broken
    }

    fn order(&self, order: usize) -> u32 {
        let books = self.moment.books.orders[order];
        let (held, taken) = match self.reservation(order) {
            Some(found) if found.standing == Standing::Reserved => (found.goods, [0; ITEMS]),
            Some(found) if found.standing == Standing::Committed => ([0; ITEMS], found.goods),
            _ => ([0; ITEMS], [0; ITEMS]),
        };
        let kept = self.payment(order).map_or(0, |payment| payment.kept);
        let has_ended = self.saga(order).is_some_and(|saga| saga.status.is_final());
        let ended = u8::from(has_ended);
        breaks((books.held, books.taken) != (held, taken), Rule::StockConserved)
            | breaks(books.captures > 1 || books.refunds > books.captures, Rule::ChargedOnce)
            | breaks((books.provider, -books.sales) != (kept, kept), Rule::MoneyConserved)
            | breaks((books.endings, books.announced) != (ended, ended), Rule::EndsOnce)
            | self.timers(order)
    }

    fn timers(&self, order: usize) -> u32 {
        let armed = self.moment.armed[place::order_timer(order)];
        let found = (armed != 0).then(|| &self.tables.sent(armed).content);
        let deadline = self.saga(order).and_then(|saga| saga.deadline);
        let is_right = match (deadline, found) {
            (None, None) => true,
            (Some(deadline), Some(Content::Timer(timer))) => {
                (deadline.step.as_str(), deadline.round) == (timer.step.as_str(), timer.round)
            }
            _ => false,
        };
        let holds = self.reservation(order).is_some_and(|r| r.standing == Standing::Reserved);
        let expires = self.moment.armed[place::stock_timer(order)] != 0;
        let round = deadline.map_or(0, |deadline| deadline.round);
        let is_endless = round > self.configuration.rounds_max();
        breaks(!is_right || holds != expires, Rule::WaitsInVainForNothing)
            | breaks(is_endless, Rule::AsksNotForEver)
    }

    fn order_at_rest(&self, order: usize) -> u32 {
        let books = self.moment.books.orders[order];
        let provider = self.moment.provider[order];
        let has_money = provider.charge == Charge::Approved && !provider.is_refunded;
        let agrees = has_money == (books.provider > 0) || !self.configuration.calls;
        let Some(saga) = self.saga(order) else {
            let acts = self.reservation(order).is_some() || self.payment(order).is_some();
            return breaks(acts, Rule::RestsEnded);
        };
        let held: i16 = books.held.iter().sum();
        let taken: i16 = books.taken.iter().sum();
        let verdict = match saga.status {
            OrderStatus::Confirmed => {
                let standing = self.reservation(order).map(|found| found.standing);
                let lacks = standing == Some(Standing::Short) && books.is_short;
                let has_goods =
                    books.taken == saga.goods || self.configuration.expires && lacks && taken == 0;
                let captured = self.payment(order).map_or(0, |payment| payment.captured);
                let is_paid = (books.provider, captured) == (saga.total, saga.total);
                breaks(!has_goods || held != 0 || !is_paid, Rule::ConfirmedIsWhole)
            }
            OrderStatus::Rejected | OrderStatus::Cancelled => {
                let is_nothing = (held, taken, books.provider) == (0, 0, 0);
                breaks(!is_nothing, Rule::UndoneIsNothing)
            }
            _ => Rule::RestsEnded.bit(),
        };
        verdict | breaks(!agrees, Rule::ProviderAgrees)
    }
}
