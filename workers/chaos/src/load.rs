//! A continuous, bounded load: orders with known ids, published until the broker confirms each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fastrand::Rng;
use orderly_contracts::Reason;
use orderly_contracts::routes::{ORDER_NEW, Party};
use orderly_devstack::Environment;
use orderly_e2e::{Client, Message};
use orderly_runtime::config::{Address, Config};
use tokio::task::JoinHandle;

use crate::story::{Ends, Story};

/// How often orders are published.
const TICK: Duration = Duration::from_millis(50);
/// With more new orders than this waiting, no more are published.
const BACKLOG: u32 = 400;
/// How long the broker may be away, or refuse.
const PATIENCE: Duration = Duration::from_secs(90);

/// How much, how fast.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// The orders are derived from it.
    pub seed: u64,
    /// So many orders a second.
    pub rate: u32,
    /// So many at most.
    pub most: usize,
    /// So many of them, at most, that nobody pays for. They ask for ever, so the more there are,
    /// the less the system comes to rest.
    pub unpaid: usize,
}

/// What was sent, and what must come of it.
#[derive(Debug, Default, Clone)]
pub struct Book {
    /// How each order may end.
    pub orders: BTreeMap<String, Ends>,
    /// Each message that the broker has confirmed: its id, its type, the order it is about.
    pub receipts: BTreeMap<String, (String, String)>,
    /// Messages that must have a dead letter, for one of these reasons.
    pub letters: BTreeMap<String, &'static [Reason]>,
}

impl Book {
    /// Adds what another load has sent.
    pub fn add(&mut self, other: Self) {
        self.orders.extend(other.orders);
        self.receipts.extend(other.receipts);
        self.letters.extend(other.letters);
    }

    /// How many orders will end.
    pub fn ending(&self) -> usize {
        self.orders.values().filter(|ends| !is_open(ends)).count()
    }
}

/// Whether nobody will ever pay for orders that may end like this.
pub fn is_open(ends: Ends) -> bool {
    ends.contains(&"reserved")
}

#[derive(Default)]
struct Shared {
    is_stopped: AtomicBool,
    wanted: Mutex<Vec<Story>>,
    extra: Mutex<Vec<Message>>,
    unanswered: Mutex<Vec<String>>,
    placed: AtomicUsize,
}

/// A load that runs beside whatever happens to the system.
pub struct Load {
    shared: Arc<Shared>,
    task: JoinHandle<Result<Book>>,
}

impl Load {
    /// Begins to publish.
    pub async fn begin(environment: &Environment, measure: Measure) -> Result<Self> {
        let address = broker(environment)?;
        let line = Line { client: Some(Client::connect(&address).await?), address };
        let shared = Arc::new(Shared::default());
        let run = Run {
            measure,
            rng: Rng::with_seed(measure.seed),
            line,
            shared: shared.clone(),
            later: vec![],
            book: Book::default(),
            placed: 0,
            unpaid: 0,
        };
        Ok(Self { shared, task: tokio::spawn(run.publish_all()) })
    }

    /// Asks for an order with this story as soon as possible, beside all others.
    pub fn want(&self, story: Story) {
        held(&self.shared.wanted).push(story);
    }

    /// Sends `message` as soon as possible, and notes it with all others.
    pub fn send(&self, message: Message) {
        held(&self.shared.extra).push(message);
    }

    /// The orders so far that nobody will ever pay for.
    pub fn unanswered(&self) -> Vec<String> {
        held(&self.shared.unanswered).clone()
    }

    /// How many orders were placed so far.
    pub fn placed(&self) -> usize {
        self.shared.placed.load(Ordering::Relaxed)
    }

    /// Whether everything was placed that was to be.
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends the load; what was sent.
    pub async fn end(self) -> Result<Book> {
        self.shared.is_stopped.store(true, Ordering::Relaxed);
        self.task.await.context("the load panicked")?
    }

    /// Waits until all orders of its measure are placed; what was sent.
    pub async fn complete(self) -> Result<Book> {
        self.task.await.context("the load panicked")?
    }
}

/// What is behind a lock that nobody holds for longer than a moment.
fn held<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Run {
    measure: Measure,
    rng: Rng,
    line: Line,
    shared: Arc<Shared>,
    /// Messages of begun stories, with when they are due.
    later: Vec<(Instant, Message)>,
    book: Book,
    placed: usize,
    unpaid: usize,
}

impl Run {
    async fn publish_all(mut self) -> Result<Book> {
        let a_tick = (self.measure.rate as usize * TICK.as_millis() as usize / 1_000).max(1);
        loop {
            let is_stopped =
                self.shared.is_stopped.load(Ordering::Relaxed) || self.placed >= self.measure.most;
            let mut due = self.due(is_stopped);
            if !is_stopped && self.line.backlog().await < BACKLOG {
                for _ in 0..a_tick.min(self.measure.most.saturating_sub(self.placed)) {
                    let story = self.draw();
                    due.extend(self.begin(story));
                }
            }
            // Somebody waits for these, whatever else waits.
            let wanted = std::mem::take(&mut *held(&self.shared.wanted));
            for story in wanted.into_iter().filter(|_| !is_stopped) {
                due.extend(self.begin(story));
            }
            if is_stopped && due.is_empty() {
                return Ok(self.book);
            }
            self.line.publish(&due).await?;
            for message in due {
                self.note(message);
            }
            self.shared.placed.store(self.placed, Ordering::Relaxed);
            tokio::time::sleep(TICK).await;
        }
    }

    /// What begun stories have to say by now; all of it, when the load ends.
    fn due(&mut self, is_stopped: bool) -> Vec<Message> {
        let now = Instant::now();
        let later = std::mem::take(&mut self.later);
        let (due, later): (Vec<_>, _) =
            later.into_iter().partition(|(at, _)| is_stopped || *at <= now);
        self.later = later;
        let extra = std::mem::take(&mut *held(&self.shared.extra));
        due.into_iter().map(|(_, message)| message).chain(extra).collect()
    }

    /// The story of the next order.
    fn draw(&mut self) -> Story {
        match Story::draw(&mut self.rng) {
            Story::Unanswered if self.unpaid >= self.measure.unpaid => Story::Plain,
            story => {
                self.unpaid += usize::from(story == Story::Unanswered);
                story
            }
        }
    }

    /// Begins a story; what is to be sent now.
    fn begin(&mut self, story: Story) -> Vec<Message> {
        let id = format!("c{:x}-o{}", self.measure.seed, self.placed);
        self.placed += 1;
        let messages = story.messages(&id, &mut self.rng);
        if let Some(reasons) = story.letter() {
            let ids =
                messages.iter().filter_map(|(_, message)| message.properties.message_id.clone());
            self.book.letters.extend(ids.map(|id| (id, reasons)));
        }
        if story == Story::Unanswered {
            held(&self.shared.unanswered).push(id.clone());
        }
        if let Some(ends) = story.ends() {
            self.book.orders.insert(id, ends);
        }
        let now = Instant::now();
        let (at_once, later): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|(after, _)| after.is_zero());
        self.later.extend(later.into_iter().map(|(after, message)| (now + after, message)));
        at_once.into_iter().map(|(_, message)| message).collect()
    }

    fn note(&mut self, message: Message) {
        let id = message.properties.message_id.unwrap_or_default();
        let kind = message.properties.kind.unwrap_or_default();
        let order = id.split_once('-').map_or("", |(_, order)| order).to_owned();
        self.book.receipts.insert(id, (kind, order));
    }
}

/// The way to the broker, which may be away for a while.
struct Line {
    address: Address,
    client: Option<Client>,
}

impl Line {
    /// How many new orders wait; too many, while nobody can tell.
    async fn backlog(&mut self) -> u32 {
        if self.client.is_none() {
            self.client = Client::connect(&self.address).await.ok();
        }
        let Some(client) = &self.client else { return u32::MAX };
        match client.ready(ORDER_NEW).await {
            Ok(ready) => ready,
            Err(_) => {
                self.client = None;
                u32::MAX
            }
        }
    }

    /// Publishes until all is confirmed. What was not confirmed is sent again, all of it: it may
    /// have arrived, and must do no harm then.
    async fn publish(&mut self, messages: &[Message]) -> Result<()> {
        let begun = Instant::now();
        while !messages.is_empty() {
            let last = match &self.client {
                Some(client) => match client.publish(messages.iter().cloned()).await {
                    Ok(()) => return Ok(()),
                    Err(error) => {
                        self.client = None;
                        error
                    }
                },
                None => match Client::connect(&self.address).await {
                    Ok(client) => {
                        self.client = Some(client);
                        continue;
                    }
                    Err(error) => error,
                },
            };
            if begun.elapsed() > PATIENCE {
                bail!("the load got nothing confirmed for {PATIENCE:?}: {last:#}");
            }
            tokio::time::sleep(TICK).await;
        }
        Ok(())
    }
}

/// Where the broker is.
pub fn broker(environment: &Environment) -> Result<Address> {
    let variables = environment.iter().map(|(name, value)| (name.clone(), value.clone()));
    Ok(Config::read(Party::Order, variables)?.broker)
}
