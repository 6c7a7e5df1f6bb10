//! Convoys: messages that were decided together are announced as many, so that whoever takes the first of them
//! knows that it is worth a moment to wait for the others.

use orderly_contracts::envelope::FOLLOWERS;
use orderly_contracts::routes::{Party, route};

use crate::message::{Delivery, Outgoing};
use crate::topology::RETURN;

/// Announces on the first of `outputs` on each way how many follow it there.
pub(crate) fn announce<'a>(outputs: impl IntoIterator<Item = &'a mut Outgoing>) {
    // Ways are few: a search through them is faster than a map.
    let mut leaders: Vec<(&mut Outgoing, i64)> = Vec::new();
    for output in outputs {
        let is_behind = |leader: &Outgoing| {
            leader.routing_key == output.routing_key && leader.exchange == output.exchange
        };
        match leaders.iter_mut().find(|(leader, _)| is_behind(leader)) {
            Some((_, followers)) => *followers += 1,
            None => leaders.push((output, 0)),
        }
    }
    for (leader, followers) in leaders.into_iter().filter(|(_, followers)| *followers > 0) {
        leader.properties.set_header(FOLLOWERS, followers);
    }
}

/// How many messages were announced to follow this one. Only workers are believed; and what comes back from
/// the ladder or the dead letters comes alone.
pub(crate) fn followers(delivery: &Delivery) -> usize {
    let Some(followers) = delivery.properties.int_header(FOLLOWERS) else { return 0 };
    let kind = delivery.properties.kind.as_deref();
    let is_of_a_worker = kind.and_then(route).is_some_and(|route| route.sender != Party::Client);
    let is_believed = is_of_a_worker && delivery.exchange != RETURN;
    usize::try_from(followers).ok().filter(|_| is_believed).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{HeaderValue, Properties};

    fn to(routing_key: &str) -> Outgoing {
        Outgoing {
            exchange: "orderly".to_owned(),
            routing_key: routing_key.to_owned(),
            mandatory: true,
            properties: Properties::of("stock.reserve.v1", "m"),
            body: vec![],
        }
    }

    fn delivered(properties: Properties) -> Delivery {
        let Outgoing { exchange, routing_key, body, .. } = to("a");
        Delivery { tag: 1, returns: 0, exchange, routing_key, properties, body }
    }

    #[test]
    fn the_first_on_each_way_announces_the_others() {
        let mut outgoing = ["a", "b", "a", "c", "b", "a"].map(to);
        announce(&mut outgoing);
        assert_eq!(outgoing[3], to("c"), "nothing is said of one alone");
        let announced = outgoing.map(|message| followers(&delivered(message.properties)));
        assert_eq!(announced, [2, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn what_comes_back_comes_alone() {
        let mut leader = delivered(Properties::of("stock.reserve.v1", "m"));
        leader.properties.set_header(FOLLOWERS, 3);
        assert_eq!(followers(&leader), 3);
        leader.exchange = RETURN.to_owned();
        assert_eq!(followers(&leader), 0);
    }

    #[test]
    fn nonsense_and_clients_announce_nobody() {
        let announced = |kind, value: HeaderValue| {
            let mut properties = Properties::of(kind, "m");
            properties.set_header(FOLLOWERS, value);
            followers(&delivered(properties))
        };
        assert_eq!(announced("stock.reserve.v1", 3.into()), 3);
        assert_eq!(announced("stock.reserve.v1", (-1).into()), 0);
        assert_eq!(announced("stock.reserve.v1", "3".into()), 0);
        assert_eq!(announced("stock.adjust.v1", 3.into()), 0, "a client is believed");
        assert_eq!(announced("weather.report.v1", 3.into()), 0, "anybody is believed");
    }
}
