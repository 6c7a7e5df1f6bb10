//! Bugs between a worker and its servers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use orderly_contracts::envelope::SENT_AT;
use orderly_faults::between::{Between, Rows};
use orderly_faults::step::Window;
use orderly_runtime::broker::{Acks, BrokerError, Confirmation, Publisher};
use orderly_runtime::domain::Domain;
use orderly_runtime::letter::Letter;
use orderly_runtime::message::{Delivery, Outgoing, Tag};
use orderly_runtime::store::{Claim, Standing, Store, StoreError, Unit, Work};
use uuid::Uuid;

use crate::bug::Bug;

/// Does one thing wrong between a worker and its servers, or nothing.
pub struct Bugged {
    bug: Option<Bug>,
    /// What the broker said of the last window, whoever published it.
    last: Mutex<Option<Vec<Confirmation>>>,
    stamps: AtomicU64,
}

impl Bugged {
    /// What does `bug`.
    pub fn new(bug: Option<Bug>) -> Self {
        Self { bug, last: Mutex::default(), stamps: AtomicU64::new(0) }
    }

    fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Messages as they are published, and whether that is all of them.
    fn as_published(&self, messages: &[Outgoing]) -> Option<Vec<Outgoing>> {
        match self.bug? {
            Bug::StampedAtPublish => {
                let stamp = self.stamps.fetch_add(1, Ordering::Relaxed) as i64;
                let mut stamped = messages.to_vec();
                stamped.iter_mut().for_each(|one| one.properties.set_header(SENT_AT, stamp));
                Some(stamped)
            }
            Bug::LetterTruncated => {
                let mut cut = messages.to_vec();
                for message in cut.iter_mut().filter(|it| is(it, Window::Letter)) {
                    message.body.pop();
                }
                Some(cut)
            }
            _ => None,
        }
    }

    fn is_forgotten(&self, message: &Outgoing) -> bool {
        (self.is(Bug::RetryDropped) && is(message, Window::Retry))
            || (self.is(Bug::LetterDropped) && is(message, Window::Letter))
    }

    /// What a worker believes that the broker said.
    fn as_heard(&self, confirmations: Vec<Confirmation>) -> Vec<Confirmation> {
        let taken_for = |wrong| {
            let heard = confirmations.iter();
            heard
                .map(|one| if *one == wrong { Confirmation::Confirmed } else { one.clone() })
                .collect()
        };
        match self.bug {
            Some(Bug::ReturnedIsConfirmed) => taken_for(Confirmation::Returned),
            Some(Bug::RefusedIsConfirmed) => taken_for(Confirmation::Refused),
            Some(Bug::ConfirmsShared) => {
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                match last.replace(confirmations.clone()) {
                    Some(others) if others.len() == confirmations.len() => others,
                    _ => confirmations,
                }
            }
            _ => confirmations,
        }
    }
}

fn is(message: &Outgoing, window: Window) -> bool {
    Window::of(std::slice::from_ref(message)) == window
}

/// How far deliveries of a channel have come.
pub struct Channel(AtomicU64);

impl<D: Domain> Between<D> for Bugged {
    /// Whether a statement has failed, and nobody was told.
    type Unit = bool;
    type Channel = Channel;

    fn channel(&self, _: &str) -> Channel {
        Channel(AtomicU64::new(0))
    }

    fn saw(&self, channel: &Channel, delivery: &Delivery) {
        channel.0.fetch_max(delivery.tag, Ordering::Relaxed);
    }

    async fn arrived<A: Acks>(&self, _: &Channel, acks: &mut A, delivery: &Delivery) {
        if self.is(Bug::AckFirst) {
            let _ = acks.ack_up_to(delivery.tag).await;
        }
    }

    async fn ack<A: Acks>(
        &self,
        channel: &Channel,
        acks: &mut A,
        tag: Tag,
    ) -> Result<(), BrokerError> {
        let ahead = channel.0.load(Ordering::Relaxed);
        acks.ack_up_to(if self.is(Bug::AckAhead) { ahead } else { tag }).await
    }

    async fn publish<P: Publisher>(
        &self,
        publisher: &mut P,
        messages: &[Outgoing],
    ) -> Result<Vec<Confirmation>, BrokerError> {
        if messages.iter().any(|message| self.is_forgotten(message)) {
            let kept: Vec<_> =
                messages.iter().filter(|message| !self.is_forgotten(message)).cloned().collect();
            publisher.publish(&kept).await?;
            return Ok(vec![Confirmation::Confirmed; messages.len()]);
        }
        let changed = self.as_published(messages);
        let confirmations = publisher.publish(changed.as_deref().unwrap_or(messages)).await?;
        Ok(self.as_heard(confirmations))
    }

    async fn claim<U: Unit<D>>(
        &self,
        unit: &mut U,
        has_failed: &mut bool,
        batch: Uuid,
        claims: &[Claim],
    ) -> Result<Vec<Standing>, StoreError> {
        let outcome = unit.claim(batch, claims).await;
        match outcome {
            Ok(standings) if self.is(Bug::InboxOff) => Ok(vec![Standing::Fresh; standings.len()]),
            Ok(mut standings) if self.is(Bug::DuplicatesSilent) => {
                for standing in &mut standings {
                    if let Standing::Known { unsent, .. } = standing {
                        unsent.clear();
                    }
                }
                Ok(standings)
            }
            Ok(mut standings) if self.is(Bug::ConflictSwallowed) => {
                for (standing, claim) in standings.iter_mut().zip(claims) {
                    if let Standing::Known { body_hash, .. } = standing {
                        *body_hash = claim.body_hash;
                    }
                }
                Ok(standings)
            }
            Err(_) if self.is(Bug::CommitAfterError) => {
                *has_failed = true;
                Ok(vec![Standing::Fresh; claims.len()])
            }
            outcome => outcome,
        }
    }

    async fn load<U: Unit<D>>(
        &self,
        unit: &mut U,
        _: &mut bool,
        keys: &BTreeSet<D::Key>,
    ) -> Result<Rows<D>, StoreError> {
        if !self.is(Bug::NoLockOrder) {
            return unit.load(keys).await;
        }
        let mut rows = Rows::<D>::new();
        for key in keys.iter().rev() {
            rows.extend(unit.load(&BTreeSet::from([key.clone()])).await?);
        }
        Ok(rows)
    }

    async fn save<U: Unit<D>>(
        &self,
        unit: &mut U,
        has_failed: &mut bool,
        work: &Work<D>,
    ) -> Result<(), StoreError> {
        let outcome = if self.is(Bug::ClaimKept) {
            unit.save(&keeping_claims(work)).await
        } else {
            unit.save(work).await
        };
        if outcome.is_err() && self.is(Bug::CommitAfterError) {
            *has_failed = true;
            return Ok(());
        }
        outcome
    }

    async fn commit<U: Unit<D>>(&self, unit: U, _: bool) -> Result<(), StoreError> {
        match unit.commit().await {
            Err(StoreError::Unknown(_)) if self.is(Bug::UnknownIsDone) => Ok(()),
            outcome => outcome,
        }
    }

    async fn unsent<S: Store<D>>(
        &self,
        store: &S,
        age: Duration,
        limit: usize,
    ) -> Result<Vec<(Uuid, Vec<Outgoing>)>, StoreError> {
        if self.is(Bug::SweepOff) { Ok(vec![]) } else { store.unsent(age, limit).await }
    }

    async fn file_letters<S: Store<D>>(
        &self,
        store: &S,
        letters: &[Letter],
    ) -> Result<(), StoreError> {
        if self.is(Bug::LetterUnfiled) { Ok(()) } else { store.file_letters(letters).await }
    }
}

/// The same work, but for the claims that should be given back.
fn keeping_claims<D: Domain>(work: &Work<D>) -> Work<D> {
    Work { disclaimed: vec![], ..work.clone() }
}
