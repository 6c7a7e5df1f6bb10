//! Every order of arrival: an order, the stock, the payment and all that is in flight between
//! them, followed through every delivery, copy, timer and expiry that can come next.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use orderly_contracts::order::{OrderConfirmed, OrderStatus};
use orderly_contracts::payment::{ChargePayment, RefundPayment};
use orderly_contracts::stock::{ReleaseStock, ReserveStock};
use orderly_runtime::domain::{Output, Timer};

use super::*;

const ID: &str = "o-1";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stock {
    Untouched,
    Reserved,
    Refused,
    Released,
    Expired,
    Committed,
    Short,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payment {
    Untouched,
    Charged,
    Declined,
    Refunded,
}

/// A moment of the whole system, for one order.
#[derive(Debug, Clone)]
struct World {
    saga: Option<Saga>,
    timer: Option<Timer>,
    stock: Stock,
    payment: Payment,
    /// Messages on their way, with how many copies. The inbox is not there to help.
    flying: BTreeMap<(&'static str, Vec<u8>), u32>,
    /// How the order was announced to have ended.
    announced: BTreeSet<&'static str>,
    /// How often the broker may still deliver a message twice.
    copies_left: u32,
    /// How often a timer may still fire.
    timers_left: u32,
}

impl World {
    fn new(sent: impl IntoIterator<Item = Output>) -> Self {
        let mut world = Self {
            saga: None,
            timer: None,
            stock: Stock::Untouched,
            payment: Payment::Untouched,
            flying: BTreeMap::new(),
            announced: BTreeSet::new(),
            copies_left: 1,
            timers_left: 2,
        };
        sent.into_iter().for_each(|output| world.fly(output));
        world
    }

    fn fly(&mut self, output: Output) {
        *self.flying.entry((output.kind, output.body)).or_default() += 1;
    }

    fn send<M: Message>(mut self, message: &M) -> Self {
        self.fly(Output::of(message));
        self
    }

    /// Everything that can come next.
    fn next(&self) -> Vec<Self> {
        let mut next = vec![];
        for (kind, body) in self.flying.keys() {
            let mut once = self.clone();
            let copies = once.flying.get_mut(&(*kind, body.clone())).expect("it flies");
            *copies -= 1;
            once.flying.retain(|_, copies| *copies > 0);
            next.extend(once.deliver(kind, body));
            if self.copies_left > 0 {
                let again = Self { copies_left: self.copies_left - 1, ..self.clone() };
                next.extend(again.deliver(kind, body));
            }
        }
        if let (Some(timer), 1..) = (&self.timer, self.timers_left) {
            let mut fired = Self { timers_left: self.timers_left - 1, ..self.clone() };
            fired.decide(Order::due(timer).expect("our own timer"));
            next.push(fired);
        }
        if self.stock == Stock::Reserved {
            next.push(self.at_stock(Stock::Expired).send(&StockExpired { order_id: order_id(ID) }));
        }
        next
    }

    fn deliver(self, kind: &'static str, body: &[u8]) -> Vec<Self> {
        match kind {
            ReserveStock::KIND => self.reserve(),
            ReleaseStock::KIND => vec![self.release()],
            OrderConfirmed::KIND => vec![self.commit()],
            ChargePayment::KIND => self.charge(),
            RefundPayment::KIND => vec![self.refund()],
            _ => {
                let mut decided = self;
                decided.decide(Order::decode(kind, body).expect("a valid message"));
                vec![decided]
            }
        }
    }

    fn decide(&mut self, input: Input) {
        let decision = step(&mut self.saga, &arrival(0, input));
        for output in decision.outputs {
            match output.kind {
                "order.confirmed.v1" | "order.rejected.v1" | "order.cancelled.v1" => {
                    self.announced.insert(output.kind);
                }
                _ => {}
            }
            let route = orderly_contracts::routes::route(output.kind).expect("it has a route");
            if route.is_required() {
                self.fly(output);
            }
        }
        for change in decision.timers {
            self.timer = match change {
                TimerChange::Set { timer, .. } => Some(timer),
                TimerChange::Clear { .. } => None,
            };
        }
    }

    fn at_stock(&self, stock: Stock) -> Self {
        Self { stock, ..self.clone() }
    }

    fn reserve(self) -> Vec<Self> {
        let order_id = order_id(ID);
        let yes = |stock| self.at_stock(stock).send(&StockReserved { order_id: order_id.clone() });
        let no = |stock, reason| {
            let (order_id, shortages) = (order_id.clone(), vec![]);
            self.at_stock(stock).send(&StockRejected { order_id, reason, shortages })
        };
        match self.stock {
            // Goods may have come in since it refused.
            Stock::Untouched | Stock::Refused => {
                vec![yes(Stock::Reserved), no(Stock::Refused, StockRefusal::OutOfStock)]
            }
            Stock::Reserved | Stock::Committed | Stock::Short => vec![yes(self.stock)],
            Stock::Released => vec![no(Stock::Released, StockRefusal::Released)],
            Stock::Expired => vec![no(Stock::Expired, StockRefusal::Expired)],
        }
    }

    fn release(self) -> Self {
        assert!(!matches!(self.stock, Stock::Committed | Stock::Short), "released: {self:#?}");
        self.at_stock(Stock::Released).send(&StockReleased { order_id: order_id(ID) })
    }

    fn commit(self) -> Self {
        match self.stock {
            Stock::Reserved | Stock::Committed => self.at_stock(Stock::Committed),
            Stock::Expired | Stock::Short => self.at_stock(Stock::Short),
            // An order of services alone.
            Stock::Untouched => self,
            Stock::Refused | Stock::Released => panic!("confirmed without its goods: {self:#?}"),
        }
    }

    fn charge(self) -> Vec<Self> {
        let Input::PaymentCharged(charged) = charged(ID) else { unreachable!() };
        let Input::PaymentDeclined(declined) = declined(ID) else { unreachable!() };
        let at = |payment| Self { payment, ..self.clone() };
        match self.payment {
            Payment::Untouched => {
                vec![at(Payment::Charged).send(&charged), at(Payment::Declined).send(&declined)]
            }
            Payment::Charged => vec![self.send(&charged)],
            Payment::Declined | Payment::Refunded => vec![self.send(&declined)],
        }
    }

    fn refund(self) -> Self {
        let Input::PaymentRefunded(refunded) = refunded(ID) else { unreachable!() };
        Self { payment: Payment::Refunded, ..self }.send(&refunded)
    }

    /// What tells this moment from others; a version and a time do not.
    fn fingerprint(&self) -> u64 {
        let stage = self.saga.as_ref().map(|saga| saga.stage);
        let budget = (self.copies_left, self.timers_left);
        let rest = format!("{stage:?} {:?} {:?} {:?}", self.timer, self.stock, self.payment);
        let mut hasher = DefaultHasher::new();
        (rest, budget, &self.flying, &self.announced).hash(&mut hasher);
        hasher.finish()
    }

    fn status(&self) -> Option<OrderStatus> {
        self.saga.as_ref().map(|saga| saga.stage.status())
    }

    /// What must be true when nothing is on its way any more.
    fn is_at_rest(&self) {
        let status = self.status().expect("it was placed or cancelled");
        let ending = format!("order.{}.v1", status.as_str());
        assert!(status.is_final(), "waits for what never comes: {self:#?}");
        assert_eq!(self.announced.iter().collect::<Vec<_>>(), [&ending], "{self:#?}");
        assert_eq!(self.timer, None, "{self:#?}");
        match status {
            OrderStatus::Confirmed => {
                let is_free = |saga: &Saga| saga.public(order_id(ID)).total.get() == 0;
                let is_paid = self.payment == Payment::Charged;
                assert!(is_paid || self.saga.as_ref().is_some_and(is_free), "{self:#?}");
                assert_ne!(self.stock, Stock::Reserved, "nobody commits it: {self:#?}");
            }
            _ => {
                assert_ne!(self.stock, Stock::Reserved, "nobody releases it: {self:#?}");
                assert_ne!(self.payment, Payment::Charged, "nobody refunds it: {self:#?}");
            }
        }
    }
}

/// Follows every path from `world`; how many moments there are, and where orders came to rest.
fn explore(world: World) -> (usize, BTreeSet<&'static str>) {
    let mut seen = HashSet::from([world.fingerprint()]);
    let mut ends = BTreeSet::new();
    let mut open = vec![world];
    while let Some(world) = open.pop() {
        if world.flying.is_empty() {
            world.is_at_rest();
            ends.extend(world.status().map(OrderStatus::as_str));
        }
        open.extend(world.next().into_iter().filter(|next| seen.insert(next.fingerprint())));
    }
    (seen.len(), ends)
}

fn cancel_order() -> Output {
    Output::of(&CancelOrder { order_id: order_id(ID), reason: None })
}

#[test]
fn an_order_ends_well_in_any_order_of_arrival() {
    let (moments, ends) = explore(World::new([Output::of(&place(ID))]));
    assert!(moments > 10_000, "only {moments} moments");
    assert_eq!(ends, BTreeSet::from(["cancelled", "confirmed", "rejected"]));
}

#[test]
fn an_order_that_somebody_cancels_ends_well_in_any_order_of_arrival() {
    let (moments, ends) = explore(World::new([Output::of(&place(ID)), cancel_order()]));
    assert!(moments > 10_000, "only {moments} moments");
    assert_eq!(ends, BTreeSet::from(["cancelled", "confirmed", "rejected"]));
}

#[test]
fn an_order_without_goods_or_price_ends_well_in_any_order_of_arrival() {
    for (place, ends_allowed) in [
        (place_free(ID), vec!["cancelled", "confirmed", "rejected"]),
        (place_services(ID), vec!["cancelled", "confirmed"]),
        (place_nothing(ID), vec!["cancelled", "confirmed"]),
    ] {
        let (_, ends) = explore(World::new([Output::of(&place), cancel_order()]));
        assert_eq!(ends, ends_allowed.into_iter().collect());
    }
}

#[test]
fn a_cancellation_alone_ends_the_order_before_it_begins() {
    let (_, ends) = explore(World::new([cancel_order()]));
    assert_eq!(ends, BTreeSet::from(["cancelled"]));
}
