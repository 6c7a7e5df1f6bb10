//! Whatever arrives, in whatever order and batches: an order stays whole.

use orderly_runtime::fold::fold;
use orderly_runtime::message::Outgoing;
use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use super::*;
use crate::domain::Entry;

const IDS: [&str; 3] = ["o-1", "o-2", "o-3"];

/// Any input of any of a few orders.
fn any_input() -> impl Strategy<Value = Input> {
    let id = prop::sample::select(IDS.to_vec());
    (id, 0..18usize, 0..3u32).prop_map(|(id, sort, round)| match sort {
        0 | 1 => Input::Place(place(id)),
        2 => Input::Place(place_free(id)),
        3 => Input::Place(place_services(id)),
        4 => Input::Place(place_nothing(id)),
        5 => cancel(id),
        6 | 7 => reserved(id),
        8 => refused(id, StockRefusal::OutOfStock),
        9 => refused(id, StockRefusal::Expired),
        10 => released(id),
        11 => expired(id),
        12 => charged(id),
        13 => declined(id),
        14 => refunded(id),
        15 => due(id, Step::Reserve, round),
        16 => due(id, Step::Charge, round),
        _ => due(id, Step::Compensate, round),
    })
}

/// Arrivals, some of which come again later: as the same message, or as a message of its own.
fn any_arrivals() -> impl Strategy<Value = Vec<Arrival<Input>>> {
    let inputs = prop::collection::vec(any_input(), 1..60);
    let copies = prop::collection::vec((any::<Index>(), any::<Index>(), any::<bool>()), 0..10);
    (inputs, copies).prop_map(|(inputs, copies)| {
        let inputs = inputs.into_iter().enumerate();
        let mut arrivals: Vec<_> = inputs.map(|(n, input)| arrival(n, input)).collect();
        for (n, (which, to, is_same)) in copies.into_iter().enumerate() {
            let which = which.index(arrivals.len());
            let mut copy = arrivals[which].clone();
            if !is_same {
                copy.cause.id = format!("copy-{n}");
            }
            let to = which + 1 + to.index(arrivals.len() - which);
            arrivals.insert(to, copy);
        }
        arrivals
    })
}

/// All that batches leave behind.
#[derive(Debug, Default, PartialEq)]
struct Kept {
    orders: BTreeMap<OrderId, Saga>,
    entries: Vec<Entry>,
    outputs: Vec<(Cause, Vec<Outgoing>)>,
    timers: BTreeMap<String, TimerChange>,
    inbox: BTreeSet<Cause>,
}

impl Kept {
    /// Processes a batch as the loop does: claim, load, fold, save.
    fn process(&mut self, batch: &[Arrival<Input>]) {
        let is_fresh = |arrival: &&Arrival<Input>| self.inbox.insert(arrival.cause.clone());
        let fresh: Vec<_> = batch.iter().filter(is_fresh).collect();
        let asked: BTreeSet<_> = fresh.iter().flat_map(|a| Order::keys(&a.input)).collect();
        let known = |key: &OrderId| Some((key.clone(), self.orders.get(key)?.clone()));
        let rows = asked.iter().filter_map(known).collect();

        let work = fold(&worker(), Uuid::nil(), &fresh, States::new(asked, rows)).work;
        for (key, saga) in work.changes.created {
            assert_eq!(self.orders.insert(key, saga), None, "created what was there");
        }
        for (key, saga) in work.changes.updated {
            assert!(self.orders.insert(key, saga).is_some(), "updated what was not there");
        }
        self.entries.extend(work.entries);
        self.outputs.extend(work.outputs);
        self.timers.extend(work.timers);
    }

    fn of<'a>(batches: impl IntoIterator<Item = &'a [Arrival<Input>]>) -> Self {
        let mut kept = Self::default();
        batches.into_iter().for_each(|batch| kept.process(batch));
        kept
    }
}

proptest! {
    #[test]
    fn any_split_into_batches_leaves_the_same_behind(
        arrivals in any_arrivals(),
        cuts in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(arrivals.len())).collect();
        cuts.extend([0, arrivals.len()]);
        cuts.sort_unstable();
        let split = Kept::of(cuts.windows(2).map(|cut| &arrivals[cut[0]..cut[1]]));
        prop_assert_eq!(&split, &Kept::of([&arrivals[..]]));
        prop_assert_eq!(&split, &Kept::of(arrivals.chunks(1)));
    }

    #[test]
    fn what_must_hold_of_an_order_holds_whatever_arrives(arrivals in any_arrivals()) {
        let mut orders = BTreeMap::<OrderId, Option<Saga>>::new();
        for arrival in &arrivals {
            step(orders.entry(arrival.input.order_id().clone()).or_default(), arrival);
        }
    }

    #[test]
    fn what_has_ended_stays_as_it_is_when_everything_comes_again(arrivals in any_arrivals()) {
        let once = Kept::of([&arrivals[..]]);
        let mut twice = Kept { orders: once.orders.clone(), ..Kept::default() };
        twice.process(&arrivals);
        for (id, saga) in &once.orders {
            if saga.stage.status().is_final() {
                prop_assert_eq!(&twice.orders[id], saga);
            }
        }
    }
}

/// All orders in which `inputs` can arrive.
fn permutations(inputs: &[Input]) -> Vec<Vec<Input>> {
    if inputs.is_empty() {
        return vec![vec![]];
    }
    let first = |n: usize| {
        let mut rest = inputs.to_vec();
        let first = rest.remove(n);
        permutations(&rest).into_iter().map(move |mut rest| {
            rest.insert(0, first.clone());
            rest
        })
    };
    (0..inputs.len()).flat_map(first).collect()
}

/// The answer that an order waits for.
fn answer(stage: Stage) -> Option<Input> {
    Some(match stage {
        Stage::Pending(_) => reserved("o-1"),
        Stage::Reserved(_) => charged("o-1"),
        Stage::Cancelling(undoing) if undoing.owed.release => released("o-1"),
        Stage::Cancelling(_) => refunded("o-1"),
        Stage::Confirmed | Stage::Rejected(_) | Stage::Cancelled(_) => return None,
    })
}

#[test]
fn every_permutation_of_an_orders_inputs_with_copies_of_all_comes_to_one_end() {
    let inputs = [
        Input::Place(place("o-1")),
        cancel("o-1"),
        reserved("o-1"),
        charged("o-1"),
        released("o-1"),
        refunded("o-1"),
        due("o-1", Step::Reserve, 0),
    ];
    for order in permutations(&inputs) {
        let copies = order.iter().cloned();
        let mut saga = after(order.iter().cloned().chain(copies));
        let stage = |saga: &Option<Saga>| saga.as_ref().expect("it was placed").stage;
        for n in 0..4 {
            if let Some(input) = answer(stage(&saga)) {
                step(&mut saga, &arrival(100 + n, input));
            }
        }
        assert!(stage(&saga).status().is_final(), "{order:?} ends at {saga:?}");
    }
}
