//! The way back for a dead letter's message, if there is one. Pure.

use orderly_contracts::envelope::ATTEMPTS;
use orderly_contracts::routes::{PAYMENT_EFFECTS, Party, Route, kinds_in};
use orderly_contracts::text::MessageId;
use orderly_runtime::domain::Cause;
use orderly_runtime::fold::derived_id;
use orderly_runtime::message::{Outgoing, Properties};
use orderly_runtime::retry::{FIRST_FAILED_AT, ORIGINAL_EXCHANGE, ORIGINAL_ROUTING_KEY};
use orderly_runtime::topology::{RETURN, WORKERS, work_queues};
use tokio_postgres::Row;

/// Where a message came from and where it died.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// The queue it died in.
    pub queue: &'a str,
    /// The exchange it was first published to.
    pub exchange: &'a str,
    /// The routing key it was first published with.
    pub routing_key: &'a str,
    /// Its type.
    pub kind: Option<&'a str>,
    /// Its id.
    pub message_id: Option<&'a str>,
    /// Whether its body was too long to be kept whole.
    pub is_cut: bool,
}

/// The inbox row that shows that a message has had its effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    /// Who sent what is in the inbox.
    pub source: &'static str,
    /// Its id.
    pub id: String,
    /// Whether it is the message itself, with its own body, and no answer to it.
    pub is_itself: bool,
}

impl<'a> Origin<'a> {
    /// The origin that stands in a row with columns of these names.
    pub(crate) fn of(row: &'a Row) -> Self {
        Self {
            queue: row.get("queue"),
            exchange: row.get("exchange"),
            routing_key: row.get("routing_key"),
            kind: row.get("kind"),
            message_id: row.get("message_id"),
            is_cut: row.get::<_, Option<i64>>("whole_bytes").is_some(),
        }
    }

    /// What will show that the message has had its effect; or why it can't be sent again as it is.
    pub(crate) fn done(&self) -> Result<Done, String> {
        let route = self.route()?;
        if self.is_cut {
            return Err("only the beginning of its body was kept; edit it with all of it".into());
        }
        if !self.is_genuine(route) {
            return Err(format!(
                "it came with the routing key {:?}, which is not its type; edit it, if it is right",
                self.routing_key
            ));
        }
        let id = self.message_id.filter(|id| !id.is_empty());
        let id = id.ok_or("it has no message id; edit it, which gives it one")?;
        let id = MessageId::new(id).map_err(|error| format!("its message id: {error}; edit it"))?;
        Ok(done(route, self.queue, id.as_str()))
    }

    /// Whether the message came by the door that is guarded for its type. The way back goes past
    /// that guard, so what was never let in must not take it.
    pub(crate) fn is_genuine(&self, route: &Route) -> bool {
        let is_put_directly = self.exchange.is_empty()
            && self.routing_key == self.queue
            && route.sender == Party::Client;
        self.routing_key == route.kind || is_put_directly
    }

    /// The route of its type into its queue.
    pub(crate) fn route(&self) -> Result<&'static Route, String> {
        if !WORKERS.iter().any(|party| work_queues(*party).contains(&self.queue)) {
            return Err(format!("it came from {:?}, which is no work queue", self.queue));
        }
        let kind = self.kind.unwrap_or_default();
        kinds_in(self.queue).find(|route| route.kind == kind).ok_or_else(|| {
            let known: Vec<_> = kinds_in(self.queue).map(|route| route.kind).collect();
            let known = known.join(", ");
            format!("its type is {kind:?} and {} takes {known}; edit it", self.queue)
        })
    }
}

/// The inbox row for the message `id` of this route into `queue`.
pub(crate) fn done(route: &Route, queue: &str, id: &str) -> Done {
    let source = route.sender.name();
    // A call to the outside leaves no trace in the inbox: its answer does.
    if queue == PAYMENT_EFFECTS {
        let payment = Party::Payment.name();
        let cause = Cause { source, id: id.to_owned() };
        let answer = derived_id(payment, &cause, 0).to_string();
        return Done { source: payment, id: answer, is_itself: false };
    }
    Done { source, id: id.to_owned(), is_itself: true }
}

/// The message on its way back to `queue`: as from the retry ladder, but with no attempt behind it.
/// `origin` are the exchange and the routing key that it was first published with.
pub(crate) fn back(
    queue: &str,
    origin: (&str, &str),
    first_at: i64,
    mut properties: Properties,
    body: Vec<u8>,
) -> Outgoing {
    properties.remove_header(ATTEMPTS);
    properties.set_header(FIRST_FAILED_AT, first_at);
    properties.set_header(ORIGINAL_EXCHANGE, origin.0);
    properties.set_header(ORIGINAL_ROUTING_KEY, origin.1);
    properties.expiration = None;
    properties.delivery_mode = Some(2);
    Outgoing {
        exchange: RETURN.to_owned(),
        routing_key: format!("replay.{queue}"),
        mandatory: true,
        properties,
        body,
    }
}

#[cfg(test)]
mod tests {
    use orderly_runtime::clock::Micros;
    use orderly_runtime::message::Delivery;
    use orderly_runtime::retry::Past;

    use super::*;

    const PLACE: Origin<'_> = Origin {
        queue: "order.new",
        exchange: "orderly.commands",
        routing_key: "order.place.v1",
        kind: Some("order.place.v1"),
        message_id: Some("m"),
        is_cut: false,
    };

    #[test]
    fn a_message_is_done_when_it_is_in_the_inbox_of_its_sender() {
        let done = |origin: Origin<'_>| origin.done().unwrap();
        let itself = Done { source: "client", id: "m".to_owned(), is_itself: true };
        assert_eq!(done(PLACE), itself);
        let put = Origin { exchange: "", routing_key: "order.new", ..PLACE };
        assert_eq!(done(put), itself);
        let kind = "payment.execute.v1";
        let call =
            Origin { queue: "payment.effects", routing_key: kind, kind: Some(kind), ..PLACE };
        let cause = Cause { source: "payment", id: "m".to_owned() };
        let answer = derived_id("payment", &cause, 0).to_string();
        assert_eq!(done(call), Done { source: "payment", id: answer, is_itself: false });
    }

    #[test]
    fn what_can_not_go_back_as_it_is_says_why() {
        let forged = Origin { queue: "order.answers", kind: Some("stock.reserved.v1"), ..PLACE };
        for (origin, word) in [
            (Origin { is_cut: true, ..PLACE }, "only the beginning"),
            (Origin { message_id: None, ..PLACE }, "no message id"),
            (Origin { message_id: Some(""), ..PLACE }, "no message id"),
            (Origin { message_id: Some("\u{7}"), ..PLACE }, "its message id"),
            (Origin { kind: None, ..PLACE }, "order.new takes order.place.v1"),
            (Origin { kind: Some("stock.adjust.v1"), ..PLACE }, "edit it"),
            (Origin { queue: "unknown", ..PLACE }, "no work queue"),
            // An answer that a client forged must not slip in by the back door.
            (Origin { routing_key: "order.cancel.v1", ..forged }, "order.cancel.v1"),
            (Origin { exchange: "", routing_key: "order.answers", ..forged }, "order.answers"),
        ] {
            let why = origin.done().unwrap_err();
            assert!(why.contains(word), "{why:?} should say {word:?}");
        }
    }

    #[test]
    fn on_the_way_back_it_has_its_first_death_and_no_attempt() {
        let mut properties = Properties { expiration: Some("1".into()), ..Properties::default() };
        properties.set_header(ATTEMPTS, 5);
        properties.set_header("mine", "kept");
        let origin = ("orderly.commands", "order.place.v1");
        let sent = back("order.new", origin, 17, properties, vec![1]);
        assert_eq!(sent.properties.text_header("mine"), Some("kept"));
        assert_eq!((sent.properties.expiration.clone(), sent.mandatory), (None, true));
        let delivery = Delivery {
            tag: 1,
            returns: 0,
            exchange: sent.exchange,
            routing_key: sent.routing_key,
            properties: sent.properties,
            body: sent.body,
        };
        let past = Past::of(&delivery);
        assert_eq!((past.attempts, past.first_failed_at), (0, Some(Micros(17))));
        assert_eq!((past.exchange.as_str(), past.routing_key.as_str()), origin);
    }
}
